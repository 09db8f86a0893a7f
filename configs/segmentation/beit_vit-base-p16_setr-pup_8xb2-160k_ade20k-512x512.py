"""SETR-PUP on BEiT ViT-B/16 as published in code, ADE20K, 512 x 512, 160k iterations.

Paper        none: the recipe of BEiT (arXiv 2106.08254), Table 7, for tables of relative positions and layer scale,
             which came with the published code
Reproduced   not yet run
Hardware     8 GPUs
Batch        16 = 8 GPUs x 2; lr 1e-3
Values from  the config for absolute positions (beit-abs), which says what is our choice
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/beit_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/setr-pup_beit-vit-base-p16.py',
    '../_base_/datasets/ade20k_512x512.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw_160k.py',
]

# data
train_dataloader = dict(batch_size=2)

# model: every block has its table of relative positions, resized when loaded
model = dict(
    backbone=dict(
        pos_embed=None,
        relative_bias='per_block',
        layer_scale=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/beit_vit-base-p16_16xb128-coslr-800e_in1k/epoch_800.pth',
        ),
    ),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay_rate=0.65))
