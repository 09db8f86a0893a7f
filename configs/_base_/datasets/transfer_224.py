# Small data sets as iBOT (after DeiT) fine-tunes on them: every image three times in an epoch of as many images, each
# time with another augmentation; ImageNet's statistics, bicubic everywhere. The data sets are those of the configs.
_base_ = './imagenet_ibot-finetune.py'

train_pipeline = _base_.train_pipeline
val_pipeline = _base_.test_pipeline

train_dataloader = dict(
    batch_size=96,
    sampler=dict(_delete_=True, type='mmpretrain.RepeatAugSampler', num_repeats=3, shuffle=True),
    dataset=dict(_delete_=True, type='mmpretrain.CustomDataset', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=144,
    dataset=dict(_delete_=True, type='mmpretrain.CustomDataset', pipeline=val_pipeline),
)
test_dataloader = val_dataloader
