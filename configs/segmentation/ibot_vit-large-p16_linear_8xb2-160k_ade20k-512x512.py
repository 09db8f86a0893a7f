"""Linear segmentation head on frozen iBOT ViT-L/16, ADE20K, 512 x 512, 160k iterations.

Paper        none: a config file of the published code, without a result
Reproduced   not yet run
Hardware     8 GPUs in the published config
Batch        16 = 8 GPUs x 2; lr 2e-5
Values from  the published config file; the final norm on every tap, as in the published command
Differs from the original in: the published file gives the head 4 x 512 channels, which cannot work: a ViT-L has 4 x
             1024; checkpoints and evaluation every 16k instead of 64k iterations
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/ibot_vit-large-p16_linear_8xb2-160k_ade20k-512x512.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = 'ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512.py'

# data
train_dataloader = dict(batch_size=2)

# model: the teacher of a pretraining run, or a published file
model = dict(
    backbone=dict(
        arch='large',
        out_indices=(7, 11, 15, 23),
        frozen_stages=24,
        init_cfg=dict(checkpoint='work_dirs/ibot_vit-large-p16_64xb16-coslr-250e_in1k/epoch_250.pth'),
    ),
    decode_head=dict(in_channels=[1024] * 4, channels=4 * 1024),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=2e-5))
