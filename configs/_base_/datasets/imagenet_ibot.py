# iBOT on ImageNet: data/imagenet/train/CLASS/*.JPEG; the class folders are not looked at.
# Crops and masks are the code's defaults of two global crops; published runs with local crops set their own.
data_root = 'data/imagenet/'

train_pipeline = [
    # The published code does not turn images as their EXIF orientation says.
    dict(type='LoadImagePIL', upright=False),
    dict(
        type='MultiCrop',
        global_crops=2,
        global_size=224,
        global_scale=(0.14, 1.0),
        local_crops=0,
        local_size=96,
        local_scale=(0.05, 0.4),
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        jitter_prob=0.8,
        gray_prob=0.2,
        blur_probs=(1.0, 0.1, 0.5),
        blur_radius=(0.1, 2.0),
        solarize_prob=0.2,
    ),
    dict(type='PredictionMasks', patch_size=16, pred_ratio=(0.0, 0.3), pred_ratio_var=(0.0, 0.2), pred_shape='block'),
    dict(type='PackViews'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=10,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='UnlabelledImages', data_root=data_root, data_prefix='train', pipeline=train_pipeline),
)
