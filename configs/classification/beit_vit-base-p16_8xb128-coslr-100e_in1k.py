"""BEiT, ViT-B/16, fine-tuned on ImageNet-1K, 100 epochs.

Paper        the published model zoo: 83.7 top-1 after pretraining on ImageNet-22K (quoted). arXiv 2106.08254, Table 1:
             83.2 after ImageNet-1K (quoted), for the model with absolute positions (beit-abs_*)
Reproduced   not yet run
Hardware     8 GPUs in the published run
Batch        1024 = 8 GPUs x 128; lr 4e-3, absolute (the paper: the best of 2e-3, 3e-3, 4e-3, 5e-3)
Values from  the published README, which gives this form of the model
Differs from the original in: partners of mixed images are drawn, not those at the other end of the batch; noise of
             erased boxes is cut to the range of pixels
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit_vit-base-p16_8xb128-coslr-100e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/classifier_beit-vit-base-p16.py',
    '../_base_/datasets/imagenet_beit-finetune.py',
    '../_base_/classification_runtime.py',
    '../_base_/schedules/finetune_adamw_layer-decay.py',
]

# model: a pretraining run of this project, or a published file
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/beit_vit-base-p16_16xb128-coslr-800e_in1k/epoch_800.pth',
        ),
    ),
)
