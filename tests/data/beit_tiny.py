"""A small BEiT on images that are not square, which the tests of loops and processes train in a folder with images/."""

_base_ = 'mim_plugin::_base_/default_runtime.py'

# data: a grid of 4 x 6 patches of the transformer and of tokens
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
            dict(type='TwoResolutionCrop', size=(32, 48), target_size=(16, 24)),
            dict(type='BEiTMasks', patch_size=8, num_masked=9, min_per_block=2),
            dict(type='PackViews'),
        ],
    ),
)

# model
model = dict(
    type='BEiT',
    backbone=dict(
        type='MIMVisionTransformer',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=(32, 48),
        patch_size=8,
        pos_embed=None,
        relative_bias='shared',
        qkv_bias='qv',
        layer_scale=0.1,
        mask_token=True,
        init='beit',
    ),
    tokenizer=dict(type='MeanColorTokenizer', patch_size=4, bits=1),
)

# optimisation
train_cfg = dict(type='ResumableEpochLoop', max_epochs=2)
optim_wrapper = dict(
    type='MIMOptimWrapper',
    constructor='MIMOptimWrapperConstructor',
    paramwise_cfg=dict(no_decay=('pos_embed', 'cls_token')),
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.05),
    clip_grad=dict(max_norm=3.0),
)
param_scheduler = [dict(type='WarmupCosineLR', eta_min=0.01, convert_to_iter_based=True)]

# hooks
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1))

auto_scale_lr = dict(enable=False, base_batch_size=4)
