# UPerNet on a plain ViT-S/16, as iBOT segments ADE20K: taps at four depths, each through the final norm,
# a pyramid of strides 4, 8, 16 and 32 made with transposed convolutions.
_base_ = 'mmseg::_base_/models/upernet_beit.py'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch='small',
        img_size=512,
        patch_size=16,
        pos_interpolation='ibot',
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        out_type='featmap',
        final_norm='all',
    ),
    neck=dict(embed_dim=384),
    decode_head=dict(in_channels=[384, 384, 384, 384], channels=384, num_classes=150),
    auxiliary_head=dict(in_channels=384, num_classes=150),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
