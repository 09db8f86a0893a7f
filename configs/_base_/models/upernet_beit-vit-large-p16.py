# As upernet_beit-vit-base-p16, for ViT-L/16: taps at the same quarters of its 24 blocks, a higher drop path.
_base_ = './upernet_beit-vit-base-p16.py'

model = dict(
    backbone=dict(arch='large', layer_scale=1e-6, drop_path_rate=0.2, out_indices=(7, 11, 15, 23)),
    neck=dict(in_channels=1024),
    decode_head=dict(in_channels=[1024] * 4, channels=1024),
    auxiliary_head=dict(in_channels=1024),
)
