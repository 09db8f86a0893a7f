"""k-NN on the frozen features of ibot_tiny.py, in a folder with images/CLASS/."""

_base_ = 'mim_plugin::_base_/default_runtime.py'

# data
_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='ResizeShortSide', size=36),
    dict(type='CenterCrop', size=32),
    dict(type='PackImage'),
]
test_dataloader = dict(
    batch_size=3,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolderLabels', data_root='images', pipeline=_pipeline),
)

# model
model = dict(
    type='FeatureExtractor',
    backbone=dict(
        type='MIMVisionTransformer',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=32,
        patch_size=8,
        pos_interpolation='ibot',
    ),
)

# evaluation: every image finds itself in the bank
test_cfg = dict(type='FrozenFeatureLoop', bank_dataloader=test_dataloader)
test_evaluator = dict(type='KNNMetric', k=1)
