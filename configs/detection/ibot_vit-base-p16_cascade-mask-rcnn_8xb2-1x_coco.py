"""Cascade Mask R-CNN on iBOT ViT-B/16, COCO 2017, 12 epochs.

Paper        iBOT (arXiv 2111.07832), Table 6: 51.2 box AP, 44.2 mask AP; Table 14: 70.8 and 55.5, 67.8 and 47.7 at
             IoU .5 and .75 (quoted)
Reproduced   not yet run
Hardware     8 GPUs in the published run
Batch        16 = 8 GPUs x 2; lr 1e-4
Values from  the published run's command (12 epochs, steps 8 and 11, layer decay 0.75), then its config file
Differs from the original in: torch's half precision in place of apex. As published, positions and [CLS] have weight
             decay (paramwise_cfg.originals=True), and there are 42 x 68 positions (the file says 672 x 1092 pixels, of
             which 68 patches fill 1088). The paper's text has steps 9 and 11:
             --cfg-options param_scheduler.1.milestones='[9,11]'
Needs        mmdetection with mmcv's compiled operators, and COCO 2017 at data/coco
Run          tools/dist_train.sh configs/detection/ibot_vit-base-p16_cascade-mask-rcnn_8xb2-1x_coco.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = 'ibot_vit-small-p16_cascade-mask-rcnn_8xb4-1x_coco.py'

# data
train_dataloader = dict(batch_size=2)

# model
model = dict(
    backbone=dict(
        arch='base',
        img_size=(672, 1088),
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint='work_dirs/ibot_vit-base-p16_16xb64-coslr-400e_in1k/epoch_400.pth'),
    ),
    neck=[
        dict(type='mim_plugin.FeaturePyramid', in_channels=768),
        dict(type='FPN', in_channels=[768, 768, 768, 768], out_channels=256, num_outs=5),
    ],
)

# optimisation
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))

auto_scale_lr = dict(base_batch_size=16)
