# Frozen features on your own images in class folders: data/photos/{train,val}/CLASS/*.
data_root = 'data/photos/'

feature_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='ResizeShortSide', size=256),
    dict(type='CenterCrop', size=224),
    dict(type='PackImage'),
]

bank_dataloader = dict(
    batch_size=64,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolderLabels', data_root=data_root, data_prefix='train', pipeline=feature_pipeline),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolderLabels', data_root=data_root, data_prefix='val', pipeline=feature_pipeline),
)
