# iBOT's optimisation. All lengths follow train_cfg.max_epochs; the values are those of the published ViT-S/16 run.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=800)

optim_wrapper = dict(
    type='MIMAmpOptimWrapper',
    dtype='float16',
    constructor='MIMOptimWrapperConstructor',
    # 5e-4 x batch / 256
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.04),
    clip_grad=dict(max_norm=3.0, per_parameter=True),
)

param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=10, convert_to_iter_based=True),
    dict(
        type='WarmupCosineParamScheduler',
        param_name='weight_decay',
        end_value=0.4,
        convert_to_iter_based=True,
    ),
]

custom_hooks = [
    dict(type='MomentumTeacherHook', momentum=0.996, end=1.0),
    dict(
        type='SelfDistillationScheduleHook',
        warmup_teacher_temp=0.04,
        teacher_temp=0.07,
        warmup_teacher_patch_temp=0.04,
        teacher_patch_temp=0.07,
        warmup_epochs=30,
    ),
    dict(type='FreezeLastLayerHook', epochs=1),
    dict(type='EffectiveRankHook', interval=50),
]
