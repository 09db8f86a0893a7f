"""SETR-PUP on BEiT ViT-B/16 in the form of the paper, ADE20K, 512 x 512, 160k iterations.

Paper        BEiT (arXiv 2106.08254), Table 3: 45.6 mIoU, 47.7 after intermediate fine-tuning; Table 4: 44.65 after
             300 epochs of pretraining; Table 8: 46.85 for BEiT+DINO; single scale (quoted)
Reproduced   not yet run
Hardware     not stated; 8 GPUs here
Batch        16 = 8 GPUs x 2; lr 1e-3
Values from  Table 7, which has positions resized bilinearly. The code of these runs is not published: the auxiliary
             heads and the weight decay of positions (as in the published UPerNet) are our choice
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/beit-abs_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512.py 8 \
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

# model: absolute positions, no layer scale
model = dict(
    backbone=dict(
        pos_interpolation='bilinear',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/beit-abs_vit-base-p16_16xb128-coslr-800e_in1k/epoch_800.pth',
        ),
    ),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay_rate=0.65))
