"""BEiT on the codes of your own discrete autoencoder, ViT-S/16, a folder of your own images, no download at all.

First train the tokenizer with configs/dvae/dvae_k512-p8_1xb64-coslr-100e_custom.py; its last checkpoint is read from
its work folder as it is. Then this config, on the same images. Any folder does, no labels, subfolders are searched.

Results      none: they depend on your images. Watch `mim_acc` in the log: the share of hidden patches whose code was
             guessed should keep rising, far above that of the most frequent code; see docs/dvae.md
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 3.75e-4, four times BEiT's 1.5e-3 x batch / 2048
Differs from the paper's in: the tokenizer; ViT-S; bfloat16
Run          python tools/train.py configs/beit/beit-owndvae_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=/path/to/images
"""

_base_ = [
    '../_base_/models/beit_vit-base-p16.py',
    '../_base_/datasets/folder_beit.py',
    '../_base_/schedules/beit_adamw_coslr_800e.py',
    '../_base_/default_runtime.py',
]

# data: 112 pixels for the tokenizer, 8 of them a code, where the transformer has 224 and patches of 16
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='TwoResolutionCrop', size=224, target_size=112),
    dict(type='BEiTMasks', patch_size=16, num_masked=75),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=128, num_workers=8, dataset=dict(data_root='data/photos/', pipeline=train_pipeline)
)

# model
model = dict(
    backbone=dict(arch='small'),
    tokenizer=dict(
        type='DVAETokenizer',
        network=dict(
            type='StridedDVAE',
            vocabulary_size=512,
            codebook_dim=128,
            num_layers=3,
            hidden_dim=128,
            out_channels=6,
        ),
        checkpoint='work_dirs/dvae_k512-p8_1xb64-coslr-100e_custom/epoch_100.pth',
    ),
)

# optimisation
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(dtype='bfloat16', optimizer=dict(lr=3.75e-4))

# runtime: epochs of a small folder are short
default_hooks = dict(checkpoint=dict(interval=10))

auto_scale_lr = dict(enable=False, base_batch_size=128)
