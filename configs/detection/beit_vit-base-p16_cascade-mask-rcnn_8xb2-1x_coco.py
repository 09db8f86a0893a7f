"""Cascade Mask R-CNN on BEiT ViT-B/16, COCO 2017, 12 epochs, as iBOT's authors compare.

Paper        iBOT (arXiv 2111.07832), Table 6: 50.1 box AP, 43.5 mask AP; Table 14: 68.5 and 54.6, 66.2 and 47.1 at
             IoU .5 and .75 (quoted)
Reproduced   not yet run
Hardware     8 GPUs in the published run of iBOT
Batch        16 = 8 GPUs x 2; lr 1e-4
Values from  iBOT's ViT-B run; its settings for BEiT are not published. Backbone as BEiT fine-tunes: relative position
             bias in every block, no absolute positions, scaled branches
Differs from iBOT's run in: bias tables, learned for windows of 42 x 68 patches and resampled to each image, stand in
             for positions; torch's half precision. [CLS] and tables have weight decay, as published
Needs        mmdetection with mmcv's compiled operators, and COCO 2017 at data/coco
Run          tools/dist_train.sh configs/detection/beit_vit-base-p16_cascade-mask-rcnn_8xb2-1x_coco.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = 'ibot_vit-base-p16_cascade-mask-rcnn_8xb2-1x_coco.py'

# model
model = dict(
    backbone=dict(
        pos_embed=None,
        pos_interpolation='size',
        relative_bias='per_block',
        qkv_bias='qv',
        layer_scale=0.1,
        init='beit_finetune',
        init_cfg=dict(checkpoint='work_dirs/beit_vit-base-p16_16xb128-coslr-800e_in1k/epoch_800.pth'),
    ),
)
