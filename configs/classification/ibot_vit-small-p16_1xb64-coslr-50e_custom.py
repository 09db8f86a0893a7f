"""iBOT, ViT-S/16, fine-tuned on a folder of your own labelled images, one GPU, 50 epochs.

Put the images of each class into a folder of its own, once for training and once for validation:
data/my_images/train/CLASS/*.jpg and data/my_images/val/CLASS/*.jpg. Set the number of classes below, or on the command
line at its two places. model.backbone.init_cfg.checkpoint is a published file, or a run of yours on images without
labels.

Results      none: they depend on your images; the log says accuracy/top1 after every epoch
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=32
Batch        64; lr 2.5e-4
Differs from the ImageNet recipe in: bfloat16; 50 epochs with a warm-up of 5; lr in proportion to the root of the batch
Needs        mmpretrain
Run          python tools/train.py configs/classification/ibot_vit-small-p16_1xb64-coslr-50e_custom.py \
             --cfg-options data_root=/path/to/my_images model.backbone.init_cfg.checkpoint=PRETRAINED.pth \
             data_preprocessor.num_classes=5 model.head.num_classes=5
"""

_base_ = './ibot_vit-small-p16_8xb128-coslr-200e_in1k.py'

# data
num_classes = 2
data_root = 'data/my_images'
data_preprocessor = dict(num_classes=num_classes)
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type='mmpretrain.CustomDataset',
        data_root=data_root,
        data_prefix='train',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type='mmpretrain.CustomDataset',
        data_root=data_root,
        data_prefix='val',
        pipeline=_base_.val_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator

# model
model = dict(head=dict(num_classes=num_classes))

# optimisation
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(dtype='bfloat16', optimizer=dict(lr=2.5e-4))

# schedules
param_scheduler = [
    dict(type='mim_plugin.WarmupCosineLR', eta_min=1e-6, warmup_epochs=5, convert_to_iter_based=True),
]

auto_scale_lr = dict(base_batch_size=64)
