"""A discrete autoencoder for your own images: the tokenizer of a BEiT without any download.

512 codes, one for 8 x 8 pixels of a crop of 112: the 14 x 14 codes of a ViT-S/16 with 224 pixels, which
configs/beit/beit-owndvae_vit-small-p16_1xb128-coslr-300e_custom.py trains on them.

Results      none: they depend on your images. Look at work_dirs/NAME/reconstructions: pictures should be recognised
             from their codes, and most codes should occur; see docs/dvae.md
Hardware     1 GPU with bfloat16, or some hours on a processor
Batch        64; lr 1e-3
Differs from DALL-E's in: the smaller network of strided convolutions, 512 codes, 112 pixels, a shorter run
Run          python tools/train.py configs/dvae/dvae_k512-p8_1xb64-coslr-100e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=/path/to/images
"""

_base_ = [
    '../_base_/models/dvae_k512-p8.py',
    '../_base_/datasets/folder_dvae.py',
    '../_base_/schedules/dvae_adamw_coslr.py',
    '../_base_/default_runtime.py',
]

# data
train_dataloader = dict(batch_size=64, num_workers=8, dataset=dict(data_root='data/photos/'))

# optimisation
optim_wrapper = dict(type='MIMAmpOptimWrapper', dtype='bfloat16')

# runtime: epochs of a small folder are short
default_hooks = dict(checkpoint=dict(interval=10))

auto_scale_lr = dict(enable=False, base_batch_size=64)
