"""UPerNet on BEiT ViT-L/16 fine-tuned on ImageNet-22K, ADE20K, 640 x 640, 320k iterations, an update every second one.

Paper        the published README: 56.7 mIoU, 57.0 with --tta (quoted). Released as
             beit_large_patch16_640_pt22k_ft22ktoade20k
Reproduced   not yet run
Hardware     8 GPUs in the published run
Batch        16 = 8 GPUs x 1 x 2 iterations an update; lr 2e-5; 320k iterations are 160k updates
Values from  the published config file; images normed with the statistics of ImageNet, as there
Differs from the original in: checkpoints and evaluation every 32k instead of 16k iterations
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/beit-ft22k_vit-large-p16_upernet_8xb1-320k_ade20k-640x640.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/upernet_beit-vit-large-p16.py',
    '../_base_/datasets/ade20k_640x640.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw_320k.py',
]

# data
train_dataloader = dict(batch_size=1)

# model: after fine-tuning on ImageNet-22K (a published file); tables of relative positions are resized when loaded
crop_size = {{_base_.crop_size}}
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        img_size=640,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/beit_large_patch16_224_pt22k_ft22k.pth',
        ),
    ),
    test_cfg=dict(crop_size=crop_size, stride=(426, 426)),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=2e-5), paramwise_cfg=dict(layer_decay_rate=0.95))
