"""BEiT as its paper describes it, ViT-L/16 with absolute positions, fine-tuned on ImageNet-1K, 30 epochs.

Paper        arXiv 2106.08254, Table 2 and 6: 85.2 top-1 (quoted)
Reproduced   not yet run
Batch        1024 = 8 GPUs x 64 x 2 iterations of one step; lr 2e-3, one of the paper's sweep of 2e-3, 3e-3, 4e-3, 5e-3
Values from  Table 6: without repeated augmentation, unlike ViT-B; else as the published code
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit-abs_vit-large-p16_8xb64-coslr-30e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './beit_vit-large-p16_8xb64-coslr-50e_in1k.py'

# model
model = dict(
    backbone=dict(
        pos_embed='absolute',
        relative_bias=None,
        layer_scale=0.0,
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='work_dirs/beit-abs_vit-large-p16_16xb128-coslr-800e_in1k/epoch_800.pth'),
    ),
)

# optimisation
train_cfg = dict(max_epochs=30)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
