# iBOT that goes on from trained weights. Against a training from scratch: a fifth of the learning rate, a slower
# teacher, and heads that learn on a resting backbone when the file has none. Lengths follow train_cfg.max_epochs.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=100)

optim_wrapper = dict(
    type='MIMAmpOptimWrapper',
    dtype='bfloat16',
    constructor='MIMOptimWrapperConstructor',
    # 1e-4 x batch / 256
    optimizer=dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.04),
    clip_grad=dict(max_norm=0.3, per_parameter=True),
    # What rests while new heads learn: a mask token, which only iBOT's full files bring along, learns with them.
    paramwise_cfg=dict(apart=r'backbone\.(?!mask_token)'),
)

param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=1, convert_to_iter_based=True),
    dict(type='WarmupCosineParamScheduler', param_name='weight_decay', end_value=0.4, convert_to_iter_based=True),
]

momentum_hook = dict(type='MomentumTeacherHook', momentum=0.998, end=1.0)
# New heads know nothing at first: their teacher starts as sharp as in a training from scratch.
temperature_hook = dict(
    type='SelfDistillationScheduleHook',
    warmup_teacher_temp=0.04,
    teacher_temp=0.07,
    warmup_teacher_patch_temp=0.04,
    teacher_patch_temp=0.07,
    warmup_epochs=10,
)
# In a small folder three epochs are no time to learn.
head_hook = dict(type='HeadWarmupHook', epochs=3, release_epochs=2, min_iters=100)
rank_hook = dict(type='EffectiveRankHook', interval=50)
