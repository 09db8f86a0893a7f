# UPerNet on a plain ViT-B/16 as iBOT segments ADE20K: taps at four depths, each through the final norm,
# a pyramid of strides 4, 8, 16 and 32 made with transposed convolutions.
_base_ = 'mmseg::_base_/models/upernet_beit.py'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch='base',
        img_size=512,
        patch_size=16,
        pos_interpolation='ibot',
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        final_norm='all',
    ),
    neck=dict(_delete_=True, type='mim_plugin.FeaturePyramid', in_channels=768),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
