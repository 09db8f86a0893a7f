"""iBOT, ViT-L/16, pretrained on ImageNet-22K, fine-tuned on ImageNet-1K at 384 pixels, 50 epochs.

Paper        arXiv 2111.07832 and its model zoo: 87.5 top-1 (quoted)
Reproduced   not yet run
Batch        1024 = 8 GPUs x 16 x 8 iterations of one step; lr 1e-3, see the config of 224 pixels
Assumed      the recipe of 224 pixels, since no command is published for 384; the whole image in validation.
             Positions are resized when the file is read
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/ibot-in22k_vit-large-p16_8xb16-coslr-50e_in1k-384x384.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './ibot_vit-large-p16_8xb64-coslr-50e_in1k.py'

# data: all of the image, its shorter side of 384 pixels
train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
train_pipeline[1].update(scale=384)
val_pipeline[1].update(scale=384)
val_pipeline[2].update(crop_size=384)
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# model
model = dict(
    backbone=dict(
        img_size=384,
        with_cp=True,
        init_cfg=dict(checkpoint='work_dirs/ibot_vit-large-p16_64xb16-coslr-50e_in22k/epoch_50.pth'),
    ),
)

# optimisation
optim_wrapper = dict(accumulative_counts=8)

# of one iteration, as mmengine counts
auto_scale_lr = dict(base_batch_size=128)
