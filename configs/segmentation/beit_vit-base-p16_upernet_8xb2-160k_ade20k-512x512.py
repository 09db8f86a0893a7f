"""UPerNet on BEiT ViT-B/16, ADE20K, 512 x 512, 160k iterations, straight from pretraining.

Paper        none: a config file of the published code, without a result
Reproduced   not yet run
Hardware     8 GPUs in the published config
Batch        16 = 8 GPUs x 2; lr 7e-4
Values from  the published config file
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/beit_vit-base-p16_upernet_8xb2-160k_ade20k-512x512.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/upernet_beit-vit-base-p16.py',
    '../_base_/datasets/ade20k_512x512.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw_160k.py',
]

# data
train_dataloader = dict(batch_size=2)

# model: a pretraining run, or a published file; tables of relative positions are resized when loaded
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/beit_vit-base-p16_16xb128-coslr-150e_in22k/epoch_150.pth',
        ),
    ),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=7e-4), paramwise_cfg=dict(layer_decay_rate=0.65))
