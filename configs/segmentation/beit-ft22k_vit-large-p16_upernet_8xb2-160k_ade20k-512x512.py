"""UPerNet on BEiT ViT-L/16 fine-tuned on ImageNet-22K, ADE20K, 512 x 512, 160k iterations.

Paper        none: a config file of the published code, without a result
Reproduced   not yet run
Hardware     8 GPUs in the published config
Batch        16 = 8 GPUs x 2; lr 2e-5
Values from  the published config file; images normed with the statistics of ImageNet, as there
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/beit-ft22k_vit-large-p16_upernet_8xb2-160k_ade20k-512x512.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/upernet_beit-vit-large-p16.py',
    '../_base_/datasets/ade20k_512x512.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw_160k.py',
]

# data
train_dataloader = dict(batch_size=2)

# model: after fine-tuning on ImageNet-22K (a published file); tables of relative positions are resized when loaded
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/beit_large_patch16_224_pt22k_ft22k.pth',
        ),
    ),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=2e-5), paramwise_cfg=dict(layer_decay_rate=0.95))
