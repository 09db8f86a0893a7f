# What all arms of the comparison share: network, images, batch, optimiser, schedule, evaluation. Chosen once, for no
# arm in particular; tools/benchmarks/compare_methods.py fills in folder, seed, lr and length.
_base_ = ['../../_base_/default_runtime.py', '../../quickstart/_base_/vit-mini-p16.py']

# data: 16 patches an image, random crops and flips, no changes of colour
data_root = 'data/photos/train'
crop_scale = (0.4, 1.0)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='UnlabelledImages', data_root=data_root),
)
# What the rows of frozen features see: the size of the training crops.
feature_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='ResizeShortSide', size={{_base_.crop_size}}),
    dict(type='CenterCrop', size={{_base_.crop_size}}),
    dict(type='PackImage'),
]

# model
model = dict(
    data_preprocessor=dict(type='MIMDataPreprocessor', mean={{_base_.pixel_mean}}, std={{_base_.pixel_std}}),
    backbone=dict(
        type='MIMVisionTransformer',
        arch={{_base_.arch}},
        img_size={{_base_.crop_size}},
        patch_size={{_base_.patch_size}},
    ),
)

# optimisation
train_cfg = dict(type='ResumableEpochLoop', max_epochs=100)
optim_wrapper = dict(
    type='MIMOptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='MIMOptimWrapperConstructor',
    clip_grad=dict(max_norm=3.0),
)

# schedules
param_scheduler = [dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=10, convert_to_iter_based=True)]

# hooks
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=-1, save_optimizer=False, save_param_scheduler=False),
)
custom_hooks = [dict(type='EffectiveRankHook', interval=50)]
log_processor = dict(window_size=20)
