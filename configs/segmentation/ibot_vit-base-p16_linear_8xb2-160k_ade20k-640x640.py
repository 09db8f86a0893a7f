"""Linear segmentation head on frozen iBOT ViT-B/16, ADE20K, 640 x 640, 160k iterations.

Paper        none: a config file of the published code, without a result
Reproduced   not yet run
Hardware     8 GPUs in the published config
Batch        16 = 8 GPUs x 2; lr 3e-5
Values from  the published config file; the final norm on every tap, as in the published command
Differs from the original in: checkpoints and evaluation every 16k instead of 64k iterations
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/ibot_vit-base-p16_linear_8xb2-160k_ade20k-640x640.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/linear_ibot-vit-base-p16.py',
    '../_base_/datasets/ade20k_640x640.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw_160k.py',
]

# data
train_dataloader = dict(batch_size=2)

# model: the teacher of a pretraining run, or a published file
crop_size = {{_base_.crop_size}}
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        img_size=640,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/ibot_vit-base-p16_16xb64-coslr-400e_in1k/epoch_400.pth',
        ),
    ),
    test_cfg=dict(crop_size=crop_size, stride=(426, 426)),
)

# optimisation: the published code decays the classifier's biases, too
optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=1.0, custom_keys=dict(conv_seg=dict(decay_mult=1.0))),
)
