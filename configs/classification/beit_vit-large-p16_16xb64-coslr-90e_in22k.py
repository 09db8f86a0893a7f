"""BEiT, ViT-L/16, fine-tuned on the labels of ImageNet-22K, 90 epochs: the intermediate step to beit-ft22k_*.

Paper        none; the published model zoo has its weights (beit_large_patch16_224_pt22k_ft22k)
Reproduced   not yet run
Batch        2048 = 16 GPUs x 64 x 2 iterations of one step; lr 2e-3
Values from  the published README
Needs        mmpretrain, and ImageNet-22K (21,841 folders of classes) at data/imagenet22k
Run          NNODES=2 tools/dist_train.sh configs/classification/beit_vit-large-p16_16xb64-coslr-90e_in22k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './beit_vit-base-p16_16xb256-coslr-90e_in22k.py'

# data
train_dataloader = dict(batch_size=64)

# model
model = dict(
    backbone=dict(
        arch='large',
        layer_scale=1e-5,
        init_cfg=dict(checkpoint='work_dirs/beit_vit-large-p16_16xb128-coslr-150e_in22k/epoch_150.pth'),
    ),
    head=dict(in_channels=1024),
)

# optimisation
optim_wrapper = dict(
    accumulative_counts=2,
    optimizer=dict(lr=2e-3),
    paramwise_cfg=dict(layer_decay_rate=0.75),
    clip_grad=dict(max_norm=1.0),
)

# of one iteration, as mmengine counts
auto_scale_lr = dict(base_batch_size=1024)
