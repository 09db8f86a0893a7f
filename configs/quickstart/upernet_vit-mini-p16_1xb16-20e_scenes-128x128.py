"""UPerNet on the quickstart's ViT, 20 epochs of 160 composed scenes: the segmentation of tools/quickstart.sh.

Paper        none: small enough for two CPU cores; the head is that of iBOT's and BEiT's ADE20K runs with 64 channels
Reproduced   README.md shows what the quickstart measured
Hardware     2 CPU cores
Batch        16; lr 1e-3 for this batch
Differs from the published runs in: network, head width, batch norm within one process, schedule, data
Needs        mmsegmentation
Run          bash tools/quickstart.sh
"""

_base_ = ['mmseg::_base_/default_runtime.py', './_base_/vit-mini-p16.py']

# data: the quickstart fills in folders, file endings and classes
num_classes = 6
crop_size = (128, 128)
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='mim_plugin.IgnoreOtherLabels', num_classes=num_classes),
]
train_pipeline = [
    *load,
    dict(type='RandomResize', scale=(1024, 128), ratio_range=(1.0, 1.4), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1024, 128), keep_ratio=True),
    *load[1:],
    dict(type='PackSegInputs'),
]
num_images = 160
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='mim_plugin.ResumableSampler', shuffle=True),
    dataset=dict(type='BaseSegDataset', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='BaseSegDataset', pipeline=val_pipeline),
)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])

# model
norm_cfg = dict(type='BN', requires_grad=True)
width = {{_base_.embed_dims}}
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean={{_base_.pixel_mean}},
        std={{_base_.pixel_std}},
        bgr_to_rgb=True,
        size=crop_size,
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size_divisor={{_base_.patch_size}}),
    ),
    backbone=dict(
        type='mim_plugin.MIMVisionTransformer',
        arch={{_base_.arch}},
        img_size=crop_size,
        patch_size={{_base_.patch_size}},
        out_indices=(0, 1, 2, 3),
        out_type='featmap',
        final_norm='all',
    ),
    neck=dict(type='mim_plugin.FeaturePyramid', in_channels=width, norm='bn'),
    decode_head=dict(
        type='UPerHead',
        in_channels=[width] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=64,
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=width,
        in_index=2,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

# optimisation
train_cfg = dict(type='mim_plugin.ResumableEpochLoop', max_epochs=20, val_begin=10**6)  # validated once, after training
val_cfg = dict(type='ValLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=3.0),
)

# schedules
param_scheduler = [
    dict(type='mim_plugin.WarmupCosineLR', eta_min=1e-6, warmup_epochs=2, convert_to_iter_based=True),
]

# hooks
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=5),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=5, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
log_processor = dict(window_size=10)
randomness = dict(seed=0)
