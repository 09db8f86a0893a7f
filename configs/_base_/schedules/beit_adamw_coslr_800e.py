# BEiT's optimisation (Table 5). All lengths follow train_cfg.max_epochs; lr is absolute, for 2048 images a step.
train_cfg = dict(type='ResumableEpochLoop', max_epochs=800)

optim_wrapper = dict(
    type='MIMAmpOptimWrapper',
    dtype='float16',
    constructor='MIMOptimWrapperConstructor',
    paramwise_cfg=dict(no_decay=('pos_embed', 'cls_token')),
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    clip_grad=dict(max_norm=3.0),
)

param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-5, warmup_epochs=10, convert_to_iter_based=True),
]

custom_hooks = [dict(type='EffectiveRankHook', interval=50)]
