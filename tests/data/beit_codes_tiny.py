"""A small BEiT with k-means codes that the tests of tools train in a folder with images/."""

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
            dict(type='TwoResolutionCrop', size=32, target_size=16),
            dict(type='BEiTMasks', patch_size=8, num_masked=6, min_per_block=2),
            dict(type='PackViews'),
        ],
    ),
)

# model: the tokenizer's cells of 4 pixels are those of the transformer's patches of 8
model = dict(
    type='BEiT',
    backbone=dict(
        type='MIMVisionTransformer',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=32,
        patch_size=8,
        mask_token=True,
    ),
    tokenizer=dict(
        type='KMeansTokenizer',
        features=dict(type='ColorGradientFeatures', patch_size=4),
        vocabulary_size=8,
        checkpoint='codes/tiny.safetensors',
    ),
)

# optimisation
train_cfg = dict(type='ResumableEpochLoop', max_epochs=1)
optim_wrapper = dict(
    type='MIMOptimWrapper',
    constructor='MIMOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
)
param_scheduler = [dict(type='WarmupCosineLR', eta_min=1e-5, convert_to_iter_based=True)]

# hooks
default_hooks = dict(logger=dict(interval=1))
