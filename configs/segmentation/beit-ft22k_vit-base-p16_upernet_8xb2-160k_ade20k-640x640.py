"""UPerNet on BEiT ViT-B/16 fine-tuned on ImageNet-22K, ADE20K, 640 x 640, 160k iterations.

Paper        the published README: 53.6 mIoU, 64.8 mAcc, 84.6 aAcc; 54.2 mIoU with --tta (quoted). Released as
             beit_base_patch16_640_pt22k_ft22ktoade20k
Reproduced   not yet run
Hardware     8 GPUs in the published run
Batch        16 = 8 GPUs x 2; lr 3e-5
Values from  the published config file; images normed with the statistics of ImageNet, as there
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/beit-ft22k_vit-base-p16_upernet_8xb2-160k_ade20k-640x640.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/upernet_beit-vit-base-p16.py',
    '../_base_/datasets/ade20k_640x640.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw_160k.py',
]

# data
train_dataloader = dict(batch_size=2)

# model: after fine-tuning on ImageNet-22K (a published file); tables of relative positions are resized when loaded
crop_size = {{_base_.crop_size}}
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        img_size=640,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/beit_base_patch16_224_pt22k_ft22k.pth',
        ),
    ),
    test_cfg=dict(crop_size=crop_size, stride=(426, 426)),
)
