# Frozen features on ImageNet: data/imagenet/{train,val}/CLASS/*.JPEG.
# The training images (the bank) get the evaluation transform, too.
data_root = 'data/imagenet/'

feature_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(type='ResizeShortSide', size=256),
    dict(type='CenterCrop', size=224),
    dict(type='PackImage'),
]

bank_dataloader = dict(
    batch_size=128,
    num_workers=10,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolderLabels', data_root=data_root, data_prefix='train', pipeline=feature_pipeline),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=10,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolderLabels', data_root=data_root, data_prefix='val', pipeline=feature_pipeline),
)
