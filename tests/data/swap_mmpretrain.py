# A user's config: mmpretrain's linear classifier with another backbone, on a folder for each class.
_base_ = ['mmpretrain::_base_/models/resnet50.py', 'mmpretrain::_base_/default_runtime.py']

arch = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
data_preprocessor = dict(num_classes=2, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch=arch,
        img_size=64,
        patch_size=16,
        out_type='cls_token',
    ),
    neck=None,
    head=dict(num_classes=2, in_channels=32, topk=(1,)),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset',
        data_root='data/classes',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomResizedCrop', scale=64),
            dict(type='PackInputs'),
        ],
    ),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
train_cfg = dict(by_epoch=True, max_epochs=1)
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
