"""iBOT, ViT-S/16, fine-tuned on 1 % of the labels of ImageNet-1K, 1000 epochs.

Paper        arXiv 2111.07832, Table 4 and 12: 61.9 top-1 from the first layer of the projection head, 55.0 without it
             (quoted)
Reproduced   not yet run
Batch        1024 = 8 GPUs x 128; lr 1e-5 = 5e-6 x batch / 512, which it also ends at: constant after the warm-up
Values from  the published command
Differs from the original in: no moving average of the weights, which it tracked but did not evaluate
Needs        mmpretrain, ImageNet at data/imagenet, its list of 1 % as meta/train_1percent.txt there
             (docs/classification.md), and a training checkpoint with the projection head
Run          tools/dist_train.sh configs/classification/ibot-semi_vit-small-p16_8xb128-1000e_in1k-1percent.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=FULL.pth model.neck.init_cfg.checkpoint=FULL.pth
"""

_base_ = [
    '../_base_/models/classifier_ibot-vit-small-p16.py',
    '../_base_/datasets/transfer_224.py',
    '../_base_/classification_runtime.py',
    '../_base_/schedules/transfer_adamw_epoch-cosine.py',
]

# data
data_preprocessor = dict(num_classes=1000)
train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        type='mmpretrain.ImageNet', data_root=_base_.data_root, split='train', ann_file='meta/train_1percent.txt'
    ),
)
val_dataloader = dict(dataset=dict(type='mmpretrain.ImageNet', data_root=_base_.data_root, split='val'))
test_dataloader = val_dataloader

# model: backbone, first layer of the projection head, a new classifier
pretrained = dict(type='Pretrained', checkpoint='work_dirs/ibot_vit-small-p16_16xb64-coslr-800e_in1k/epoch_800.pth')
model = dict(
    backbone=dict(init_cfg=pretrained),
    neck=dict(type='mim_plugin.ProjectionLayer', in_channels=384, hidden_dim=2048, init_cfg=pretrained),
    head=dict(in_channels=2048, init_cfg=dict(std=0.02)),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=1e-5))

auto_scale_lr = dict(base_batch_size=1024)
