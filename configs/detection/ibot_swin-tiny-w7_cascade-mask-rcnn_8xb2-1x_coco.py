"""Cascade Mask R-CNN on iBOT Swin-T/7, COCO 2017, 12 epochs.

Paper        none for iBOT; Table 6 of iBOT (arXiv 2111.07832) lists a supervised Swin-T with 48.1 box AP and
             41.7 mask AP (quoted)
Reproduced   not yet run
Hardware     8 GPUs
Batch        16 = 8 GPUs x 2; lr 1e-4
Values from  the published files for Swin-S and B, which came from Swin's own detection code: plain AdamW, no decay on
             absolute positions, bias tables and norms; drop path of mmdetection's Swin-T
Differs from these in: Swin-T, 12 epochs with steps 8 and 11 in place of 36; torch's half precision. Steps 9 and 11:
             --cfg-options param_scheduler.1.milestones='[9,11]'
Needs        mmdetection with mmcv's compiled operators, and COCO 2017 at data/coco
Run          tools/dist_train.sh configs/detection/ibot_swin-tiny-w7_cascade-mask-rcnn_8xb2-1x_coco.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = 'ibot_vit-small-p16_cascade-mask-rcnn_8xb4-1x_coco.py'

# data
train_dataloader = dict(batch_size=2)

# model: four stages go straight into FPN; img_size lets the blocks of all stages shift their windows
model = dict(
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMSwinTransformer',
        arch='tiny',
        img_size=(800, 1333),
        window_size=7,
        drop_path_rate=0.2,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/ibot_swin-tiny-w7_16xb64-coslr-300e_in1k/epoch_300.pth',
        ),
    ),
    neck=dict(_delete_=True, type='FPN', in_channels=[96, 192, 384, 768], out_channels=256, num_outs=5),
)

# optimisation
no_decay = dict(decay_mult=0.0)
optim_wrapper = dict(
    constructor='DefaultOptimWrapperConstructor',
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys=dict(absolute_pos_embed=no_decay, relative_position_bias_table=no_decay, norm=no_decay),
    ),
)

auto_scale_lr = dict(base_batch_size=16)
