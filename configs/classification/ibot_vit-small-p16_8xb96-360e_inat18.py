"""iBOT, ViT-S/16, fine-tuned on iNaturalist 2018, 360 epochs.

Paper        arXiv 2111.07832, Table 7: 73.7 top-1 (quoted)
Reproduced   not yet run
Batch        768 = 8 GPUs x 96; lr 7.5e-5 = 5e-5 x batch / 512
Values from  the published command
Needs        mmpretrain, and iNaturalist 2018 as the config of ViT-B
Run          tools/dist_train.sh configs/classification/ibot_vit-small-p16_8xb96-360e_inat18.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './ibot_vit-base-p16_8xb96-360e_inat18.py'

# model
model = dict(
    backbone=dict(
        arch='small',
        init_cfg=dict(checkpoint='work_dirs/ibot_vit-small-p16_16xb64-coslr-800e_in1k/epoch_800.pth'),
    ),
    head=dict(in_channels=384),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=7.5e-5))
