# Crops of a folder of your own photographs for a discrete autoencoder: any files and sub-folders, no labels, no list.
#   tools/train.py CONFIG --cfg-options train_dataloader.dataset.data_root=/path/to/photos
# The boxes are those of BEiT's crops, without its colours: what the tokenizer will be shown later.
data_root = 'data/photos/'

train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='MultiCrop',
        global_crops=1,
        global_size=112,
        global_scale=(0.08, 1.0),
        flip_prob=0.5,
        jitter_prob=0.0,
        gray_prob=0.0,
        blur_probs=(0.0, 0.0, 0.0),
        solarize_prob=0.0,
    ),
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
