# A user's config: mmdetection's Mask R-CNN with another backbone, on four images.
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', 'mmdet::_base_/default_runtime.py']

arch = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch=arch,
        img_size=64,
        patch_size=16,
        out_indices=(0, 1, 2, 3),
    ),
    neck=[
        dict(type='mim_plugin.FeaturePyramid', in_channels=32),
        dict(type='FPN', in_channels=[32, 32, 32, 32], out_channels=32, num_outs=5),
    ],
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=32, num_classes=2),
        mask_roi_extractor=dict(out_channels=32),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_classes=2),
    ),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        data_root='data',
        ann_file='coco.json',
        data_prefix=dict(img='coco/'),
        metainfo=dict(classes=('a', 'b')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='Resize', scale=(64, 64), keep_ratio=True),
            dict(type='PackDetInputs'),
        ],
    ),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
