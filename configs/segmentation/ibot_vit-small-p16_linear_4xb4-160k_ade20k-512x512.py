"""Linear segmentation head on frozen iBOT ViT-S/16, ADE20K, 512 x 512, 160k iterations.

Paper        none: a config file of the published code, without a result
Reproduced   not yet run
Hardware     4 GPUs in the published config
Batch        16 = 4 GPUs x 4; lr 3e-5
Values from  the published config file; the final norm on every tap, as in the published command
Differs from the original in: checkpoints and evaluation every 16k instead of 64k iterations
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/ibot_vit-small-p16_linear_4xb4-160k_ade20k-512x512.py 4 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = 'ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512.py'

# model: the teacher of a pretraining run, or a published file
model = dict(
    backbone=dict(
        arch='small',
        init_cfg=dict(checkpoint='work_dirs/ibot_vit-small-p16_16xb64-coslr-800e_in1k/epoch_800.pth'),
    ),
    decode_head=dict(in_channels=[384] * 4, channels=4 * 384),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=3e-5))
