"""BEiT, ViT-L/16, fine-tuned on ImageNet-1K, 50 epochs.

Paper        the published model zoo: 86.0 top-1 after pretraining on ImageNet-22K (quoted); arXiv 2106.08254, Table 2:
             85.2 after ImageNet-1K with 30 epochs, lr from the sweep of ViT-B and drop path 0.1 (quoted)
Reproduced   not yet run
Hardware     8 GPUs in the published run
Batch        1024 = 8 GPUs x 64 x 2 iterations of one step; lr 1e-3
Values from  the published README
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit_vit-large-p16_8xb64-coslr-50e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './beit_vit-base-p16_8xb128-coslr-100e_in1k.py'

# data
train_dataloader = dict(batch_size=64)

# model
model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint='work_dirs/beit_vit-large-p16_16xb128-coslr-150e_in22k/epoch_150.pth'),
    ),
    head=dict(in_channels=1024),
)

# optimisation
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(
    accumulative_counts=2,
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(layer_decay_rate=0.75),
)

# schedules
param_scheduler = [
    dict(type='mim_plugin.WarmupCosineLR', eta_min=1e-6, warmup_epochs=5, convert_to_iter_based=True),
]

# of one iteration, as mmengine counts
auto_scale_lr = dict(base_batch_size=512)
