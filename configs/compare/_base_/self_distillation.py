# iBOT's and DINO's arms: 2 global crops and 2 local ones of half the size, a small head.
_base_ = './common.py'

multi_crop = dict(
    type='MultiCrop',
    global_crops=2,
    global_size={{_base_.crop_size}},
    global_scale={{_base_.crop_scale}},
    local_crops=2,
    local_size=32,
    local_scale=(0.1, 0.4),
    color=False,
    jitter_prob=0.0,
    blur_probs=(0.0, 0.0, 0.0),
    solarize_prob=0.0,
)

# Batch norm in the head keeps a batch of 64 from collapsing.
model = dict(
    head=dict(type='ProjectionHead', out_dim=512, hidden_dim=256, bottleneck_dim=64, norm='bn', norm_last_layer=True),
    tokenizer=dict(type='EMATeacher'),
    loss=dict(type='SelfDistillationLoss'),
)

custom_hooks = [
    dict(type='MomentumTeacherHook', momentum=0.97),
    dict(
        type='SelfDistillationScheduleHook',
        warmup_teacher_temp=0.04,
        teacher_temp=0.04,
        warmup_teacher_patch_temp=0.04,
        teacher_patch_temp=0.04,
        warmup_epochs=0,
    ),
    dict(type='EffectiveRankHook', interval=50),
]
