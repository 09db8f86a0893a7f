"""BEiT, ViT-B/16, fine-tuned on ImageNet-22K and then on ImageNet-1K, 30 epochs.

Paper        the published model zoo: 85.2 top-1 (quoted)
Reproduced   not yet run
Batch        512 = 8 GPUs x 64; lr 2e-5
Values from  the published README: hardly any weight decay (1e-8), images not mixed
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit-ft22k_vit-base-p16_8xb64-coslr-30e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './beit_vit-base-p16_8xb128-coslr-100e_in1k.py'

# data
train_dataloader = dict(batch_size=64)

# model: the file of the intermediate step; its head of 21,841 classes is left aside
model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/beit_vit-base-p16_16xb256-coslr-90e_in22k/epoch_90.pth'),
    ),
    train_cfg=None,
)

# optimisation
train_cfg = dict(max_epochs=30)
optim_wrapper = dict(
    optimizer=dict(lr=2e-5, weight_decay=1e-8),
    paramwise_cfg=dict(layer_decay_rate=0.85),
)

# schedules
param_scheduler = [
    dict(type='mim_plugin.WarmupCosineLR', eta_min=1e-6, warmup_epochs=5, convert_to_iter_based=True),
]

auto_scale_lr = dict(base_batch_size=512)
