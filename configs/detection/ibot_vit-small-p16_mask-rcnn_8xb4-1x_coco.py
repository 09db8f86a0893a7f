"""Mask R-CNN on iBOT ViT-S/16, COCO 2017, 12 epochs.

Paper        none: the detector without cascade, on the neck and with the recipe of iBOT's Cascade Mask R-CNN; its heads
             have 17.6 million parameters in place of 55.4
Reproduced   not yet run
Hardware     8 GPUs
Batch        32 = 8 GPUs x 4; lr 1e-4
Values from  iBOT's Cascade Mask R-CNN (arXiv 2111.07832), heads and losses from mmdetection
Differs from that in: one box head of two linear layers with L1 loss, one mask head
Needs        mmdetection with mmcv's compiled operators, and COCO 2017 at data/coco
Run          tools/dist_train.sh configs/detection/ibot_vit-small-p16_mask-rcnn_8xb4-1x_coco.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/mask-rcnn_mim-vit-small-p16.py',
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
