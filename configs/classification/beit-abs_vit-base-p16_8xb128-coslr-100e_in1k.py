"""BEiT as its paper describes it, ViT-B/16 with absolute positions, fine-tuned on ImageNet-1K, 100 epochs.

Paper        arXiv 2106.08254, Table 1 and 6: 83.2 top-1 (quoted)
Reproduced   not yet run
Batch        1024 = 8 GPUs x 128; lr 4e-3, one of the paper's sweep of 2e-3, 3e-3, 4e-3, 5e-3
Values from  Table 6, repeated augmentation (absent in the published code) included: an epoch shows a third of the
             images, each three times; else as the published code (norm of the mean patch, start of the head)
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit-abs_vit-base-p16_8xb128-coslr-100e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './beit_vit-base-p16_8xb128-coslr-100e_in1k.py'

# data
train_dataloader = dict(sampler=dict(_delete_=True, type='mmpretrain.RepeatAugSampler', num_repeats=3, shuffle=True))

# model
model = dict(
    backbone=dict(
        pos_embed='absolute',
        relative_bias=None,
        layer_scale=0.0,
        init_cfg=dict(checkpoint='work_dirs/beit-abs_vit-base-p16_16xb128-coslr-800e_in1k/epoch_800.pth'),
    ),
)
