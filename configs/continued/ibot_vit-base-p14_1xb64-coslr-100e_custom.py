"""iBOT goes on from DINOv2's ViT-B/14 on a folder of your own images, one GPU, 100 epochs.

The start is `dinov2_vitb14_pretrain.pth`; with `--cfg-options model.backbone.num_registers=4` it is the file with
registers. The notes of the config for ViT-S/14 hold here.

Page         docs/continue_pretraining.md
Results      none: not run with these files
Hardware     1 GPU with bfloat16 and 40 GB or more
Batch        64; lr 2.5e-5 = 1e-4 x batch / 256
Run          python tools/train.py configs/continued/ibot_vit-base-p14_1xb64-coslr-100e_custom.py \
             --cfg-options load_from=dinov2_vitb14_pretrain.pth data_root=/path/to/images
"""

_base_ = './ibot_vit-small-p14_1xb128-coslr-100e_custom.py'

# data
train_dataloader = dict(batch_size=64)

# model
model = dict(backbone=dict(arch='base'))

# optimisation
optim_wrapper = dict(optimizer=dict(lr=2.5e-5))

auto_scale_lr = dict(base_batch_size=64)
