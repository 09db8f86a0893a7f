"""iBOT, ViT-S/16, a linear classifier on the frozen backbone, ImageNet-1K, 100 epochs.

Paper        arXiv 2111.07832, Table 1: 77.9 top-1 (quoted), the best of 45 classifiers with other rates on [CLS] of the
             last four blocks. This config trains one of them, on the last block
Reproduced   not yet run
Batch        1024 = 8 GPUs x 128; lr 4e-3 = 0.001 x batch / 256
Values from  the published code for a single rate: SGD, no decay, crops resized bilinearly and flips, nothing else
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/ibot-linear_vit-small-p16_8xb128-coslr-100e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/classifier_ibot-vit-small-p16.py',
    '../_base_/datasets/imagenet_ibot-finetune.py',
    '../_base_/classification_runtime.py',
]

# data
load, crop, flip = _base_.train_pipeline[:3]
crop.update(interpolation='bilinear')
train_pipeline = [load, crop, flip, dict(type='mmpretrain.PackInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

# model: no block is trained; images are not mixed, labels not smoothed
model = dict(
    backbone=dict(
        drop_path_rate=0.0,
        frozen_stages=12,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/ibot_vit-small-p16_16xb64-coslr-800e_in1k/epoch_800.pth',
        ),
    ),
    head=dict(init_cfg=dict(std=0.01), loss=dict(_delete_=True, type='mmpretrain.CrossEntropyLoss')),
    train_cfg=None,
)

# optimisation
train_cfg = dict(type='mim_plugin.ResumableEpochLoop', max_epochs=100)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='mim_plugin.MIMAmpOptimWrapper',
    dtype='float16',
    constructor='mim_plugin.MIMOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=4e-3, momentum=0.9, weight_decay=0.0),
)

# schedules
param_scheduler = [dict(type='CosineAnnealingLR', T_max=100, eta_min=0.0, by_epoch=True)]

auto_scale_lr = dict(enable=False, base_batch_size=1024)
