"""iBOT, ViT-B/16, goes on from published weights on a folder of your own images, one GPU, 100 epochs.

The start is any file with a ViT-B/16 of iBOT or DINO, see the config for ViT-S/16, whose notes hold here.

Page         docs/continue_pretraining.md
Results      none: not run with these files
Hardware     1 GPU with bfloat16 and 40 GB or more
Batch        64; lr 2.5e-5 = 1e-4 x batch / 256
Differs from ViT-S/16 in: batch, lr, global crops of at least 0.32 of an image, as published
Run          python tools/train.py configs/continued/ibot_vit-base-p16_1xb64-coslr-100e_custom.py \
             --cfg-options load_from=checkpoint.pth data_root=/path/to/images
"""

_base_ = './ibot_vit-small-p16_1xb128-coslr-100e_custom.py'

# data
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='MultiCrop',
        global_crops=2,
        global_size=224,
        global_scale=(0.32, 1.0),
        local_crops=10,
        local_size=96,
        local_scale=(0.05, 0.32),
    ),
    dict(type='PredictionMasks', patch_size=16, pred_ratio=(0.0, 0.3), pred_ratio_var=(0.0, 0.2), pred_shape='block'),
    dict(type='PackViews'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))

# model
model = dict(backbone=dict(arch='base'))

# optimisation
optim_wrapper = dict(optimizer=dict(lr=2.5e-5))

auto_scale_lr = dict(base_batch_size=64)
