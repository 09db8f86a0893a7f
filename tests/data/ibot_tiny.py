"""A small iBOT that the tests of tools and processes train in a folder with images/."""

_base_ = 'mim_plugin::_base_/default_runtime.py'

# data
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='UnlabelledImages',
        data_root='images',
        seed=0,
        pipeline=[
            dict(type='LoadImagePIL'),
            dict(type='MultiCrop', global_crops=2, global_size=32, local_crops=1, local_size=16),
            dict(type='PredictionMasks', patch_size=8, pred_ratio=0.3),
            dict(type='PackViews'),
        ],
    ),
)

# model
model = dict(
    type='IBOT',
    backbone=dict(
        type='MIMVisionTransformer',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=32,
        patch_size=8,
        pos_interpolation='ibot',
        mask_token=True,
    ),
    head=dict(type='ProjectionHead', out_dim=32, hidden_dim=32, bottleneck_dim=16),
    tokenizer=dict(type='EMATeacher'),
    loss=dict(type='SelfDistillationLoss'),
)

# optimisation: gradients reach the parameters unscaled, so that runs can be compared
train_cfg = dict(type='ResumableEpochLoop', max_epochs=2)
optim_wrapper = dict(
    type='MIMOptimWrapper',
    constructor='MIMOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.04),
    clip_grad=dict(max_norm=0.05, per_parameter=True),
)
param_scheduler = [dict(type='WarmupCosineLR', eta_min=0.01, convert_to_iter_based=True)]

# hooks
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1))
custom_hooks = [
    dict(type='MomentumTeacherHook', momentum=0.9, end=1.0),
    dict(type='SelfDistillationScheduleHook', warmup_epochs=1),
    dict(type='FreezeLastLayerHook', epochs=1),
]

auto_scale_lr = dict(enable=False, base_batch_size=4)
