"""Cascade Mask R-CNN on iBOT ViT-S/16, COCO 2017, 12 epochs.

Paper        iBOT (arXiv 2111.07832), Table 6: 49.4 box AP, 42.6 mask AP; Table 13: 68.7 and 53.3, 65.6 and 45.8 at
             IoU .5 and .75 (quoted)
Reproduced   not yet run
Hardware     8 GPUs in the published run
Batch        32 = 8 GPUs x 4; lr 1e-4
Values from  the published run's command (12 epochs, steps 8 and 11, layer decay 0.8), then its config file
Differs from the original in: torch's half precision in place of apex. As published, positions and [CLS] have weight
             decay (paramwise_cfg.originals=True). The paper's text has steps 9 and 11:
             --cfg-options param_scheduler.1.milestones='[9,11]'
Needs        mmdetection with mmcv's compiled operators, and COCO 2017 at data/coco
Run          tools/dist_train.sh configs/detection/ibot_vit-small-p16_cascade-mask-rcnn_8xb4-1x_coco.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_mim-vit-small-p16.py',
    '../_base_/datasets/coco_instance_multi-scale.py',
    '../_base_/schedules/detection_adamw_1x.py',
    'mmdet::_base_/default_runtime.py',
]

# data
train_dataloader = dict(batch_size=4, num_workers=4)

# model: the teacher of a pretraining run, or a published file
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/ibot_vit-small-p16_16xb64-coslr-800e_in1k/epoch_800.pth',
        ),
    ),
)

auto_scale_lr = dict(enable=False, base_batch_size=32)
