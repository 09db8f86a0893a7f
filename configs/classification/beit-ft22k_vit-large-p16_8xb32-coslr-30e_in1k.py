"""BEiT, ViT-L/16, fine-tuned on ImageNet-22K and then on ImageNet-1K, 30 epochs.

Paper        the published model zoo: 87.4 top-1 (quoted)
Reproduced   not yet run
Batch        512 = 8 GPUs x 32 x 2 iterations of one step; lr 2e-5
Values from  the published README
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit-ft22k_vit-large-p16_8xb32-coslr-30e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './beit-ft22k_vit-base-p16_8xb64-coslr-30e_in1k.py'

# data
train_dataloader = dict(batch_size=32)

# model
model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint='work_dirs/beit_vit-large-p16_16xb64-coslr-90e_in22k/epoch_90.pth'),
    ),
    head=dict(in_channels=1024),
)

# optimisation
optim_wrapper = dict(accumulative_counts=2, paramwise_cfg=dict(layer_decay_rate=0.9))

# of one iteration, as mmengine counts
auto_scale_lr = dict(base_batch_size=256)
