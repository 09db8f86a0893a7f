# A linear classifier of each patch on four frozen blocks of a ViT-B/16, concatenated; no auxiliary head.
_base_ = './upernet_ibot-vit-base-p16.py'

model = dict(
    backbone=dict(frozen_stages=12, drop_path_rate=0.0),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=[768] * 4,
        in_index=[0, 1, 2, 3],
        input_transform='resize_concat',
        channels=4 * 768,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        num_classes=150,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=None,
)
