# ImageNet as iBOT fine-tunes on it: crop, flip, RandAugment (2 of 15 operations, level 9 +- 0.5 of 10), random erasing,
# all from mmpretrain, with ImageNet's statistics. Validation on the centre of images of 256 pixels, resized bilinearly.
_base_ = 'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py'

data_root = 'data/imagenet'
data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')

load, resize, *rest = _base_.test_pipeline
val_pipeline = [load, {**resize, 'interpolation': 'bilinear'}, *rest]

train_dataloader = dict(
    batch_size=128,
    num_workers=10,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='mim_plugin.ResumableSampler'),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=10,
    persistent_workers=True,
    dataset=dict(pipeline=val_pipeline),
)
test_dataloader = val_dataloader
