"""UPerNet on iBOT ViT-B/16, ADE20K, 512 x 512, 160k iterations.

Paper        iBOT (arXiv 2111.07832), Table 6: 50.0 mIoU; Table 14: 50.0 mIoU, 60.3 mAcc, single scale (quoted)
Reproduced   not yet run
Hardware     8 GPUs in the published run
Batch        16 = 8 GPUs x 2; lr 8e-5 (README; the published config file says 7e-4)
Values from  the published run's command (lr, final norm on every tap), then its config file
Differs from the original in: no layer-wise decay of the learning rate (published: 0.65), since the constructor for it
             is not part of this package yet; checkpoints and evaluation every 16k instead of 64k iterations
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/ibot_vit-base-p16_upernet_8xb2-160k_ade20k-512x512.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = 'ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py'

# data
train_dataloader = dict(batch_size=2)

# model
model = dict(
    backbone=dict(
        arch='base',
        init_cfg=dict(checkpoint='work_dirs/ibot_vit-base-p16_16xb64-coslr-400e_in1k/epoch_400.pth'),
    ),
    neck=dict(embed_dim=768),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
    auxiliary_head=dict(in_channels=768),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=8e-5))
