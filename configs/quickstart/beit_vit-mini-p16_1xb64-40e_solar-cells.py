"""BEiT, a ViT of 0.9 million parameters, 40 epochs of 1,836 solar cells: tools/quickstart.sh.

The codes are the nearest of 128 centroids of hand-made features (colour and edges of a patch); the quickstart fits
them to the training images first, in seconds.

Paper        none: small enough for two CPU cores; the method is that of arXiv 2106.08254
Reproduced   docs/quickstart.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr 2e-3 for this batch
Differs from the published runs in: network, crops (64 pixels, from 40 % of the area), tokenizer, no colour jitter (the
             cells are grey), short warm-up
Run          bash tools/quickstart.sh
"""

_base_ = ['../_base_/default_runtime.py', './_base_/vit-mini-p16.py']

# data: the quickstart fills in the folder
num_images = 1836
data_root = 'work_dirs/quickstart/data/solar/train'
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='TwoResolutionCrop',
        size={{_base_.crop_size}},
        target_size=None,
        scale=(0.4, 1.0),
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
    ),
    dict(type='BEiTMasks', patch_size={{_base_.patch_size}}, num_masked=6, min_per_block=2),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='UnlabelledImages', data_root=data_root, pipeline=train_pipeline),
)
# What the rows of frozen features see.
feature_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='ResizeShortSide', size={{_base_.image_size}}),
    dict(type='CenterCrop', size={{_base_.image_size}}),
    dict(type='PackImage'),
]

# model: the quickstart fills in the file of the codes
model = dict(
    type='BEiT',
    data_preprocessor=dict(
        type='MIMDataPreprocessor', mean={{_base_.pixel_mean}}, std={{_base_.pixel_std}}, with_target=True
    ),
    backbone=dict(
        type='MIMVisionTransformer',
        arch={{_base_.arch}},
        img_size={{_base_.crop_size}},
        patch_size={{_base_.patch_size}},
        mask_token=True,
    ),
    tokenizer=dict(
        type='KMeansTokenizer',
        features=dict(type='ColorGradientFeatures', patch_size={{_base_.patch_size}}, cells=2, bins=8),
        vocabulary_size=128,
        checkpoint='work_dirs/quickstart/pretrain/codes.safetensors',
    ),
)

# optimisation
train_cfg = dict(type='ResumableEpochLoop', max_epochs=40)
optim_wrapper = dict(
    type='MIMOptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    constructor='MIMOptimWrapperConstructor',
    clip_grad=dict(max_norm=3.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=4, convert_to_iter_based=True),
]

# hooks
default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=5))
custom_hooks = [dict(type='EffectiveRankHook', interval=25)]
log_processor = dict(window_size=10)
