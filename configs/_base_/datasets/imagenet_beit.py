# BEiT on ImageNet: data/imagenet/train/CLASS/*.JPEG; the class folders are not looked at.
data_root = 'data/imagenet/'

train_pipeline = [
    # The published code does not turn images as their EXIF orientation says.
    dict(type='LoadImagePIL', upright=False),
    dict(
        type='TwoResolutionCrop',
        size=224,
        target_size=112,
        scale=(0.08, 1.0),
        interpolation='bicubic',
        target_interpolation='lanczos',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        flip_prob=0.5,
    ),
    dict(type='BEiTMasks', patch_size=16, num_masked=75, min_per_block=16, shape='block'),
    dict(type='PackViews'),
]

train_dataloader = dict(
    batch_size=128,
    num_workers=10,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='UnlabelledImages', data_root=data_root, data_prefix='train', pipeline=train_pipeline),
)
