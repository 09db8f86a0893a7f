# As upernet_ibot-vit-base-p16, for ViT-S/16.
_base_ = './upernet_ibot-vit-base-p16.py'

model = dict(
    backbone=dict(arch='small'),
    neck=dict(in_channels=384),
    decode_head=dict(in_channels=[384] * 4, channels=384),
    auxiliary_head=dict(in_channels=384),
)
