# Mask R-CNN on a plain ViT-S/16: backbone and pyramid of iBOT's Cascade Mask R-CNN, heads of mmdetection's own config.
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', './vit-small-p16_pyramid.py']

model = dict(
    backbone=dict(_delete_=True, type='mim_plugin.MIMVisionTransformer', **_base_.vit_small),
    neck=_base_.pyramid,
)
