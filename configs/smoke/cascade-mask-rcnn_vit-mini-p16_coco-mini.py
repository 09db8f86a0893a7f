"""Cascade Mask R-CNN on the small ViT learns four images of COCO by heart: one of the smoke runs.

Paper        none: small enough for two CPU cores; the detector is that of iBOT's COCO runs with narrow heads
Reproduced   docs/downstream_smoke.md shows what was measured
Hardware     2 CPU cores
Batch        4; lr 1e-3 for this batch
Values from  the model of iBOT's COCO runs (stages, losses, thresholds); lr, length, widths and samples are ours
Differs from the published runs in: network, widths, 16 samples an image, data, schedule, no augmentation, no layer-wise
             decay, batch norm within one process
Needs        mmdetection with mmcv's compiled operators, and the images that docs/downstream_smoke.md describes
Run          tools/benchmarks/downstream_smoke.py --data DIR --tasks detection   (chooses images, fills in the start)
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_mim-vit-small-p16.py',
    './_base_/schedule.py',
]

# data: the tool writes annotations of four images and narrows the classes to theirs
data_root = 'data/smoke/coco_mini'
load = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(256, 256), keep_ratio=True)]
annotations = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[load[0], annotations, load[1], dict(type='PackDetInputs')],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        test_mode=True,
        pipeline=[
            *load,
            annotations,
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/annotations/instances_train2017.json', metric=['bbox', 'segm']
)
test_evaluator = val_evaluator

# model
width = 32
norm_cfg = dict(type='BN')
bbox_heads = [
    dict(
        type='Shared4Conv1FCBBoxHead',
        in_channels=width,
        conv_out_channels=width,
        fc_out_channels=128,
        roi_feat_size=7,
        num_classes=80,
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=stds),
        reg_class_agnostic=False,
        reg_decoded_bbox=True,
        norm_cfg=norm_cfg,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
    )
    for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
]
few = dict(nms_pre=256, max_per_img=64)
model = dict(
    data_preprocessor=dict(mean={{_base_.pixel_mean}}, std={{_base_.pixel_std}}),
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch={{_base_.arch}},
        img_size=256,
        patch_size={{_base_.patch_size}},
        out_indices=(0, 1, 2, 3),
        out_type='featmap',
        final_norm='all',
    ),
    neck=[
        dict(type='mim_plugin.FeaturePyramid', in_channels={{_base_.embed_dims}}, norm='bn'),
        dict(type='FPN', in_channels=[{{_base_.embed_dims}}] * 4, out_channels=width, num_outs=5),
    ],
    rpn_head=dict(in_channels=width, feat_channels=width),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=width, roi_layer=dict(sampling_ratio=2)),
        bbox_head=bbox_heads,
        mask_roi_extractor=dict(out_channels=width, roi_layer=dict(sampling_ratio=2)),
        mask_head=dict(in_channels=width, conv_out_channels=width),
    ),
    train_cfg=dict(
        rpn=dict(allowed_border=-1),
        rpn_proposal=few,
        rcnn=[
            dict(
                assigner=dict(
                    type='MaxIoUAssigner',
                    pos_iou_thr=overlap,
                    neg_iou_thr=overlap,
                    min_pos_iou=overlap,
                    match_low_quality=False,
                    ignore_iof_thr=-1,
                ),
                sampler=dict(type='RandomSampler', num=16, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=True),
                mask_size=28,
                pos_weight=-1,
                debug=False,
            )
            for overlap in (0.5, 0.6, 0.7)
        ],
    ),
    test_cfg=dict(rpn=few, rcnn=dict(max_per_img=20)),
)

# schedule: validated every 50 steps, so that a run may end when the four images are learnt
train_cfg = dict(max_iters=150, val_interval=50)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=30),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=30, end=150),
]
default_hooks = dict(checkpoint=dict(interval=50))

# what mmdetection's default_runtime.py has besides hooks
default_scope = 'mmdet'
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(window_size=20, by_epoch=False)
