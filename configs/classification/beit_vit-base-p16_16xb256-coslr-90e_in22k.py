"""BEiT, ViT-B/16, fine-tuned on the labels of ImageNet-22K, 90 epochs: the intermediate step to beit-ft22k_*.

Paper        none; the published model zoo has its weights (beit_base_patch16_224_pt22k_ft22k)
Reproduced   not yet run
Batch        4096 = 16 GPUs x 256; lr 3e-3
Values from  the published README
Needs        mmpretrain, and ImageNet-22K (21,841 folders of classes) at data/imagenet22k
Run          NNODES=2 tools/dist_train.sh configs/classification/beit_vit-base-p16_16xb256-coslr-90e_in22k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/classifier_beit-vit-base-p16.py',
    '../_base_/datasets/imagenet22k_beit-finetune.py',
    '../_base_/classification_runtime.py',
    '../_base_/schedules/finetune_adamw_layer-decay.py',
]

# data
train_dataloader = dict(batch_size=256)

# model: images are not mixed
model = dict(
    backbone=dict(
        drop_path_rate=0.2,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/beit_vit-base-p16_16xb128-coslr-150e_in22k/epoch_150.pth',
        ),
    ),
    head=dict(num_classes=21841),
    train_cfg=None,
)

# optimisation: there is nothing to validate on
train_cfg = dict(max_epochs=90)
val_cfg = None
test_cfg = None
optim_wrapper = dict(optimizer=dict(lr=3e-3), clip_grad=dict(max_norm=3.0))

# schedules
param_scheduler = [
    dict(type='mim_plugin.WarmupCosineLR', eta_min=1e-6, warmup_epochs=5, convert_to_iter_based=True),
]

# hooks
default_hooks = dict(checkpoint=dict(save_best=None))

auto_scale_lr = dict(base_batch_size=4096)
