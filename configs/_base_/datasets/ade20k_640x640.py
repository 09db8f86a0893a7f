# ADE20K as both papers segment it: 150 classes, crops of 640 x 640. The folder that a download unpacks to is named
# once, here or on the command line: --cfg-options data_root=/path/to/ADEChallengeData2016
_base_ = 'mmseg::_base_/datasets/ade20k_640x640.py'

data_root = 'data/ade/ADEChallengeData2016'
crop_size = (640, 640)

# Test with --tta: six sizes and their mirror images. An image goes in with its shorter side at 640 times the ratio, but
# never below the crop (SETR's rule), so the first three sizes are one and weigh three times.
ratios = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
sizes = [dict(type='ResizeShortestEdge', scale=max(640, int(640 * ratio)), max_size=10**6) for ratio in ratios]
flips = [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[sizes, flips, [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]],
    ),
]

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
