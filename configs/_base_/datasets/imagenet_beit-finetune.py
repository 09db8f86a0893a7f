# ImageNet as BEiT fine-tunes on it: as iBOT, but with mean and deviation of 0.5 (also where colours are filled in), and
# a bicubic resize in validation.
_base_ = 'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py'

data_root = 'data/imagenet'
data_preprocessor = dict(
    type='mmpretrain.ClsDataPreprocessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
)

train_pipeline = _base_.train_pipeline
train_pipeline[3].hparams.update(pad_val=[128, 128, 128])
train_pipeline[4].update(fill_color=[127.5, 127.5, 127.5], fill_std=[127.5, 127.5, 127.5])

train_dataloader = dict(
    batch_size=128,
    num_workers=10,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='mim_plugin.ResumableSampler'),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=128, num_workers=10, persistent_workers=True)
test_dataloader = dict(batch_size=128, num_workers=10, persistent_workers=True)
