"""iBOT, ViT-S/16, a folder of your own images, one GPU, 300 epochs.

Set data_root below (any folder, no labels, subfolders are searched) or on the command line. From a few thousand images on;
with fewer than about 10,000 start from a published full checkpoint rather than from random weights:
--cfg-options model.init_cfg.type=Pretrained model.init_cfg.checkpoint=FILE

Results      none: they depend on your images. Watch `effective_rank` in the log: it should rise; if it falls towards 1 the
             features collapse, then lower teacher_temp and teacher_patch_temp to 0.04
Hardware     1 GPU with bfloat16 and about 24 GiB; with less memory set train_dataloader.batch_size=64 --auto-scale-lr
Batch        128; lr 2.5e-4 = 5e-4 x batch / 256
Differs from the ImageNet recipe in: bfloat16 (no loss scaling that could overflow); fixed length of the prototypes and
             a clip of 0.3, as published for ViT-B, for the sake of stability with a small batch
Run          python tools/train.py configs/ibot/ibot_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=/path/to/images
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-800e_in1k.py'

# data
train_dataloader = dict(batch_size=128, dataset=dict(data_root='data/my_images'))

# model
model = dict(head=dict(norm_last_layer=True))

# optimisation
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(dtype='bfloat16', optimizer=dict(lr=2.5e-4), clip_grad=dict(max_norm=0.3))

# runtime: epochs of a small folder are short
default_hooks = dict(checkpoint=dict(interval=10))

auto_scale_lr = dict(base_batch_size=128)
