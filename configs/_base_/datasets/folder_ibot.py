# iBOT on a folder of your own photographs: any files and sub-folders, no labels, no list.
#   tools/train.py CONFIG --cfg-options train_dataloader.dataset.data_root=/path/to/photos
# For grey images set color=False, for large photographs LoadImagePIL(draft=448) makes decoding cheaper.
data_root = 'data/photos/'

train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='MultiCrop',
        global_crops=2,
        global_size=224,
        global_scale=(0.25, 1.0),
        local_crops=10,
        local_size=96,
        local_scale=(0.05, 0.25),
    ),
    dict(type='PredictionMasks', patch_size=16, pred_ratio=(0.0, 0.3), pred_ratio_var=(0.0, 0.2), pred_shape='block'),
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
