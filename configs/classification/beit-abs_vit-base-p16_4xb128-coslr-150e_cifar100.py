"""BEiT as its paper describes it, ViT-B/16 with absolute positions, fine-tuned on CIFAR-100, 150 epochs.

Paper        arXiv 2106.08254, Table 1 and 6: 90.1 top-1; 91.8 after fine-tuning on ImageNet-1K (quoted)
Reproduced   not yet run
Batch        512 = 4 GPUs x 128; lr 4e-3, one of the paper's sweep of 2e-3, 3e-3, 4e-3, 5e-3
Values from  Table 6: weight decay 0.3, repeated augmentation, no random erasing; images enlarged to 224 pixels
Needs        mmpretrain; it downloads CIFAR-100 to data/cifar100
Run          tools/dist_train.sh configs/classification/beit-abs_vit-base-p16_4xb128-coslr-150e_cifar100.py 4 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './beit-abs_vit-base-p16_8xb128-coslr-100e_in1k.py'

# data: images are in memory, and in the order R, G, B
crop, flip, augment = _base_.train_pipeline[1:4]
train_pipeline = [crop, flip, augment, dict(type='mmpretrain.PackInputs')]
val_pipeline = _base_.test_pipeline[1:]
data_root = 'data/cifar100'
data_preprocessor = dict(num_classes=100, to_rgb=False)

train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='mmpretrain.CIFAR100', data_root=data_root, split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    dataset=dict(_delete_=True, type='mmpretrain.CIFAR100', data_root=data_root, split='test', pipeline=val_pipeline),
)
test_dataloader = val_dataloader

# model
model = dict(head=dict(num_classes=100))

# optimisation
train_cfg = dict(max_epochs=150)
optim_wrapper = dict(optimizer=dict(weight_decay=0.3))

auto_scale_lr = dict(base_batch_size=512)
