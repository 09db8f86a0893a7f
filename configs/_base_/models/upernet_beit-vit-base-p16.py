# UPerNet on BEiT's ViT-B/16: every block has its table of relative positions, no norm on the taps.
_base_ = 'mmseg::_base_/models/upernet_beit.py'

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch='base',
        img_size=512,
        patch_size=16,
        pos_embed=None,
        relative_bias='per_block',
        qkv_bias='qv',
        layer_scale=0.1,
        init='beit_finetune',
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        final_norm='none',
    ),
    neck=dict(_delete_=True, type='mim_plugin.FeaturePyramid', in_channels=768),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
