"""iBOT, a ViT of 0.9 million parameters, 12 epochs of 1,836 solar cells: tools/quickstart.sh --method ibot.

Paper        none: small enough for two CPU cores; the method is that of arXiv 2111.07832
Reproduced   docs/quickstart.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr 5e-4 for this batch
Differs from the published runs in: network, head (512 prototypes), crops (64 and 32 pixels), 2 local crops,
             no colour changes (the cells are grey), faster teacher, short warm-ups
Run          bash tools/quickstart.sh --method ibot
"""

_base_ = ['../_base_/default_runtime.py', './_base_/ibot_vit-mini-p16.py']

# data: the quickstart fills in the folder
num_images = 1836
data_root = 'work_dirs/quickstart/data/solar/train'
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='MultiCrop',
        global_size={{_base_.crop_size}},
        global_scale=(0.3, 1.0),
        local_crops=2,
        local_size=32,
        local_scale=(0.1, 0.4),
        color=False,
        jitter_prob=0.5,
        blur_probs=(0.3, 0.1, 0.2),
        solarize_prob=0.0,
    ),
    dict(type='PredictionMasks', patch_size={{_base_.patch_size}}, pred_ratio=(0.0, 0.3), pred_ratio_var=(0.0, 0.2)),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='UnlabelledImages', data_root=data_root, pipeline=train_pipeline),
)
# What the rows of frozen features see.
feature_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='ResizeShortSide', size={{_base_.image_size}}),
    dict(type='CenterCrop', size={{_base_.image_size}}),
    dict(type='PackImage'),
]

# optimisation
train_cfg = dict(type='ResumableEpochLoop', max_epochs=12)
optim_wrapper = dict(
    type='MIMOptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.04),
    constructor='MIMOptimWrapperConstructor',
    clip_grad=dict(max_norm=3.0, per_parameter=True),
)

# schedules
param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=1, convert_to_iter_based=True),
    dict(type='WarmupCosineParamScheduler', param_name='weight_decay', end_value=0.2, convert_to_iter_based=True),
]

# hooks
default_hooks = dict(logger=dict(interval=5))
custom_hooks = [
    dict(type='MomentumTeacherHook', momentum=0.98),
    dict(
        type='SelfDistillationScheduleHook',
        warmup_teacher_temp=0.04,
        teacher_temp=0.04,
        warmup_teacher_patch_temp=0.04,
        teacher_patch_temp=0.04,
        warmup_epochs=0,
    ),
    dict(type='EffectiveRankHook', interval=10),
]
log_processor = dict(window_size=10)
