"""iBOT, ViT-B/16, fine-tuned on iNaturalist 2018, 360 epochs.

Paper        arXiv 2111.07832, Table 7: 74.6 top-1 (quoted)
Reproduced   not yet run
Batch        768 = 8 GPUs x 96; lr 1.125e-5 = 7.5e-6 x batch / 512
Values from  the published command: random erasing 0.1
Differs from the original in: no moving average of the weights, which it tracked but did not evaluate
Needs        mmpretrain, and iNaturalist 2018 at data/inaturalist2018 with the lists that
             tools/dataset_converters/classification_lists.py writes from train2018.json and val2018.json
Run          tools/dist_train.sh configs/classification/ibot_vit-base-p16_8xb96-360e_inat18.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = [
    '../_base_/models/classifier_ibot-vit-small-p16.py',
    '../_base_/datasets/transfer_224.py',
    '../_base_/classification_runtime.py',
    '../_base_/schedules/transfer_adamw_epoch-cosine.py',
]

# data
train_pipeline = _base_.train_pipeline
train_pipeline[4].update(erase_prob=0.1)
data_root = 'data/inaturalist2018'
data_preprocessor = dict(num_classes=8142)
train_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='meta/train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(data_root=data_root, ann_file='meta/val.txt'))
test_dataloader = val_dataloader

# model
model = dict(
    backbone=dict(
        arch='base',
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/ibot_vit-base-p16_16xb64-coslr-400e_in1k/epoch_400.pth'),
    ),
    head=dict(num_classes=8142, in_channels=768, init_cfg=dict(std=0.02)),
)

# optimisation
train_cfg = dict(max_epochs=360)
