# Cascade Mask R-CNN on a plain ViT-S/16, as iBOT detects objects of COCO: three box heads of four convolutions and one
# linear layer, which regress decoded boxes of each class with GIoU. Anchors, proposals, samples, mask heads and
# thresholds of the published run are those of mmdetection's own config.
_base_ = ['mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py', './vit-small-p16_pyramid.py']

num_classes = 80
norm_cfg = dict(type='SyncBN', requires_grad=True)
bbox_heads = [
    dict(
        type='Shared4Conv1FCBBoxHead',
        in_channels=256,
        conv_out_channels=256,
        fc_out_channels=1024,
        roi_feat_size=7,
        num_classes=num_classes,
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=stds),
        reg_class_agnostic=False,
        reg_decoded_bbox=True,
        norm_cfg=norm_cfg,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
    )
    for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
]

model = dict(
    backbone=dict(_delete_=True, type='mim_plugin.MIMVisionTransformer', **_base_.vit_small),
    neck=_base_.pyramid,
    roi_head=dict(bbox_head=bbox_heads, mask_head=dict(num_classes=num_classes)),
)
