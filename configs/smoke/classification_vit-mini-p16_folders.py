"""Fine-tuning of the small ViT, 400 steps on 760 photos of 20 classes: one of the smoke runs.

Paper        none: small enough for two CPU cores; [CLS] and a linear layer, as iBOT and BEiT fine-tune
Reproduced   docs/downstream_smoke.md shows what was measured
Hardware     2 CPU cores
Batch        32; lr 1e-3 for this batch
Values from  mmpretrain's classes with their defaults; lr, length and sizes are ours
Differs from the published runs in: network, image size, data, augmentation, schedule, no layer-wise decay
Needs        mmpretrain, and the images that docs/downstream_smoke.md describes
Run          tools/benchmarks/downstream_smoke.py --data DIR --tasks classification   (fills in folder, start and seed)
"""

_base_ = './_base_/schedule.py'

default_scope = 'mmpretrain'

# data
data_root = 'data/smoke/imagenet_like'
num_classes = 20
image_size = {{_base_.image_size}}
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=image_size, crop_ratio_range=(0.4, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=112, edge='short'),
    dict(type='CenterCrop', crop_size=image_size),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='CustomDataset', data_root=data_root, data_prefix='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_root=data_root, data_prefix='val', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

# model
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=num_classes, mean={{_base_.pixel_mean}}, std={{_base_.pixel_std}}, to_rgb=True),
    backbone=dict(
        type='mim_plugin.MIMVisionTransformer',
        arch={{_base_.arch}},
        img_size=image_size,
        patch_size={{_base_.patch_size}},
        out_type='cls_token',
    ),
    head=dict(type='LinearClsHead', num_classes=num_classes, in_channels={{_base_.embed_dims}}),
)
