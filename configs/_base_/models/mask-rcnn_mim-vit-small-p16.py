# Mask R-CNN on a plain ViT-S/16: backbone and pyramid of iBOT's Cascade Mask R-CNN, heads of mmdetection's own config.
_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch='small',
        img_size=(800, 1008),
        patch_size=16,
        pos_interpolation='ibot',
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        out_type='featmap',
        final_norm='none',
    ),
    neck=[
        dict(type='mim_plugin.FeaturePyramid', in_channels=384),
        dict(type='FPN', in_channels=[384, 384, 384, 384], out_channels=256, num_outs=5),
    ],
)
