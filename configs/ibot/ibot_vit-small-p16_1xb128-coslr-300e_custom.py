"""iBOT, ViT-S/16, a folder of your own images, one GPU, 300 epochs.

Set data_root below or on the command line: any folder of images, no labels, subfolders are searched. With fewer than
about 10,000 images start from published weights rather than from random ones, which need long training and much data:
--cfg-options model.init_cfg.type=Pretrained model.init_cfg.checkpoint=FILE

Results      none: they depend on your images. Watch `effective_rank` in the log: it should rise; if it falls towards 1
             the features collapse, then lower teacher_temp and teacher_patch_temp to 0.04
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 2.5e-4 = 5e-4 x batch / 256
Differs from the ImageNet recipe in: bfloat16 (no loss scaling that could overflow); fixed length of the prototypes and
             a clip of 0.3, as published for ViT-B, for the sake of stability with a small batch
Run          python tools/train.py configs/ibot/ibot_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=/path/to/images
"""

_base_ = [
    '../_base_/models/ibot_vit-small-p16.py',
    '../_base_/datasets/folder_ibot.py',
    '../_base_/schedules/ibot_adamw_coslr_800e.py',
    '../_base_/default_runtime.py',
]

# data
train_dataloader = dict(batch_size=128, num_workers=8, dataset=dict(data_root='data/photos/'))

# model
model = dict(head=dict(norm_last_layer=True))

# optimisation
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(dtype='bfloat16', optimizer=dict(lr=2.5e-4), clip_grad=dict(max_norm=0.3))

# runtime: epochs of a small folder are short
default_hooks = dict(checkpoint=dict(interval=10))

auto_scale_lr = dict(enable=False, base_batch_size=128)
