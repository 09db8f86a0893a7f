# Optimisation of a discrete autoencoder. All lengths follow train_cfg.max_epochs.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=100)

optim_wrapper = dict(
    type='MIMOptimWrapper',
    constructor='MIMOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-4),
    clip_grad=dict(max_norm=1.0),
)

param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-5, warmup_epochs=1, convert_to_iter_based=True),
]

custom_hooks = [
    dict(type='DiscreteVAEScheduleHook', start_temperature=1.0, end_temperature=1 / 16, kl_weight=6.6),
    dict(type='ReconstructionHook', interval=10),
]
