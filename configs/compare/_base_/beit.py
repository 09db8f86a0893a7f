# BEiT's arms: they differ in tokenizer only. 6 of 16 patches are hidden, in blocks.
_base_ = './common.py'

train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='TwoResolutionCrop',
        size={{_base_.crop_size}},
        target_size=None,
        scale={{_base_.crop_scale}},
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
    ),
    dict(type='BEiTMasks', patch_size={{_base_.patch_size}}, num_masked=0.4, min_per_block=2),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(type='BEiT', backbone=dict(mask_token=True))
