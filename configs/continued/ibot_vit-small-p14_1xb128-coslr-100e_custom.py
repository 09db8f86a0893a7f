"""iBOT goes on from DINOv2's ViT-S/14 on a folder of your own images, one GPU, 100 epochs.

The start is `dinov2_vits14_pretrain.pth`, or the folder of `facebook/dinov2-small` from Hugging Face: a backbone
without heads, so these start anew and learn on a resting backbone for three epochs. Its positions, learned at 518
pixels, are resized to 224. For `dinov2_vits14_reg4_pretrain.pth`: --cfg-options model.backbone.num_registers=4.

Guard        as in the config for ViT-S/16
Page         docs/continue_pretraining.md
Results      none: not run with these files
Hardware     1 GPU with bfloat16
Batch        128; lr 5e-5 = 1e-4 x batch / 256
Differs from ViT-S/16 in: patches of 14 pixels, local crops of 98, a learned scale of each branch
Run          python tools/train.py configs/continued/ibot_vit-small-p14_1xb128-coslr-100e_custom.py \
             --cfg-options load_from=dinov2_vits14_pretrain.pth data_root=/path/to/images
"""

_base_ = './ibot_vit-small-p16_1xb128-coslr-100e_custom.py'

# data
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='MultiCrop',
        global_crops=2,
        global_size=224,
        global_scale=(0.25, 1.0),
        local_crops=10,
        local_size=98,
        local_scale=(0.05, 0.25),
    ),
    dict(type='PredictionMasks', patch_size=14, pred_ratio=(0.0, 0.3), pred_ratio_var=(0.0, 0.2), pred_shape='block'),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(backbone=dict(patch_size=14, layer_scale=1e-5))
