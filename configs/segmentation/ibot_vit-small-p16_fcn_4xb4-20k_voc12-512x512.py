"""A config of mmsegmentation with another backbone: FCN on iBOT ViT-S/16, PASCAL VOC 2012, 512 x 512, 20k iterations.

An example, explained line by line in docs/backbone_swap.md; neither paper has it.

Paper        none
Reproduced   not yet run
Hardware     1 GPU is enough
Batch        16 = 4 GPUs x 4; lr 1e-4
Values from  mmsegmentation's own FCN, VOC and 20k files; optimizer and layer decay as iBOT fine-tunes ViT-S
Differs from mmsegmentation's fcn_r50-d8_4xb4-20k_voc12aug-512x512.py in: the backbone and the channels that follow
             from it; AdamW with warm-up and layer decay instead of SGD, which transformers do not train well with;
             the 1,464 images of VOC itself
Needs        mmsegmentation, and VOC at data/VOCdevkit/VOC2012
Run          python tools/train.py configs/segmentation/ibot_vit-small-p16_fcn_4xb4-20k_voc12-512x512.py \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    'mmseg::_base_/datasets/pascal_voc12.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py',
]

# model: the backbone, and the channels of what reads it
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch='small',
        img_size=512,
        patch_size=16,
        drop_path_rate=0.1,
        out_indices=(2, 5, 8, 11),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/ibot_vit-small-p16_16xb64-coslr-800e_in1k/epoch_800.pth',
        ),
    ),
    decode_head=dict(in_channels=384, num_classes=21),
    auxiliary_head=dict(in_channels=384, num_classes=21),
)

# optimisation
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='mim_plugin.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1000),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1000, end=20000),
]
default_hooks = dict(checkpoint=dict(save_best='mIoU'))
auto_scale_lr = dict(enable=False, base_batch_size=16)
