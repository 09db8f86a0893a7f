# BEiT on a folder of your own photographs: any files and sub-folders, no labels, no list.
#   tools/train.py CONFIG --cfg-options train_dataloader.dataset.data_root=/path/to/photos
# The tokenizer sees the transformer's view (target_size=None); one that makes a token of fewer pixels wants less.
data_root = 'data/photos/'

train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='TwoResolutionCrop',
        size=224,
        target_size=None,
        scale=(0.08, 1.0),
        interpolation='bicubic',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        flip_prob=0.5,
    ),
    dict(type='BEiTMasks', patch_size=16, num_masked=75, min_per_block=16, shape='block'),
    dict(type='PackViews'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    # One undecodable image in ten is tolerated (and replaced by its neighbour), more end the run.
    dataset=dict(type='UnlabelledImages', data_root=data_root, max_broken=0.1, pipeline=train_pipeline),
)
