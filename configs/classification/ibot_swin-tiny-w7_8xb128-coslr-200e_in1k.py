"""iBOT, Swin-T/7, fine-tuned on ImageNet-1K, 200 epochs.

Paper        none: neither the paper nor the published README fine-tunes a Swin transformer, and the published script
             cannot (arXiv 2111.07832)
Reproduced   not yet run
Batch        1024 = 8 GPUs x 128; lr 1e-3, see the config of ViT-S
Assumed      the recipe of ViT-S/16, which has about as many parameters; the mean of the last stage's normed map is
             classified, which takes the place of [CLS] in pretraining
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/ibot_swin-tiny-w7_8xb128-coslr-200e_in1k.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './ibot_vit-small-p16_8xb128-coslr-200e_in1k.py'

# model
model = dict(
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMSwinTransformer',
        arch='tiny',
        img_size=224,
        window_size=7,
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/ibot_swin-tiny-w7_16xb64-coslr-300e_in1k/epoch_300.pth',
        ),
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(in_channels=768),
)
