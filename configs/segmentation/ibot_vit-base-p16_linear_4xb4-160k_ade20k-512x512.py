"""Linear segmentation head on frozen iBOT ViT-B/16, ADE20K, 512 x 512, 160k iterations.

Paper        iBOT (arXiv 2111.07832), Table 6: 38.3 mIoU; Table 14: 38.3 mIoU, 48.0 mAcc, single scale (quoted)
Reproduced   not yet run
Hardware     4 GPUs in the published run
Batch        16 = 4 GPUs x 4; lr 8e-4 (README; the published config file says 7e-4)
Values from  the published run's command (lr, final norm on every tap), then its config file
Differs from the original in: checkpoints and evaluation every 16k instead of 64k iterations
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512.py 4 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/linear_ibot-vit-base-p16.py',
    '../_base_/datasets/ade20k_512x512.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw_160k.py',
]

# data
train_dataloader = dict(batch_size=4)

# model: the teacher of a pretraining run, or a published file
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/ibot_vit-base-p16_16xb64-coslr-400e_in1k/epoch_400.pth',
        ),
    ),
)

# optimisation: the published code decays the classifier's biases, too
optim_wrapper = dict(
    optimizer=dict(lr=8e-4),
    paramwise_cfg=dict(layer_decay_rate=1.0, custom_keys=dict(conv_seg=dict(decay_mult=1.0))),
)
