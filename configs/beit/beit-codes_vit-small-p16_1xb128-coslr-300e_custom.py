"""BEiT with k-means codes of colour and edges, ViT-S/16, a folder of your own images, one GPU, 300 epochs.

Nothing is downloaded: the codes need no weights, and a tool fits them to your images in seconds. It writes the file
that tokenizer.checkpoint names. Any folder of images, no labels, subfolders are searched.

Results      none: they depend on your images
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 3.75e-4, chosen and not tuned (BEiT's 1.5e-3 x batch / 2048 would be 9.4e-5)
Differs from BEiT in: its tokenizer; 128 codes instead of 8192; absolute positions, no layer scale; bfloat16
Run          python tools/fit_codes.py configs/beit/beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py --data DIR
             python tools/train.py configs/beit/beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=DIR
"""

_base_ = [
    '../_base_/models/beit_vit-base-p16.py',
    '../_base_/datasets/folder_beit.py',
    '../_base_/schedules/beit_adamw_coslr_800e.py',
    '../_base_/default_runtime.py',
]

# data
train_dataloader = dict(batch_size=128, num_workers=8)

# model
model = dict(
    backbone=dict(arch='small', pos_embed='absolute', relative_bias=None, layer_scale=0.0),
    tokenizer=dict(
        type='KMeansTokenizer',
        features=dict(type='ColorGradientFeatures', patch_size=16, cells=2, bins=8),
        vocabulary_size=128,
        normalise='standardise',
        checkpoint='checkpoints/codes/color-gradient_128.safetensors',
    ),
)

# optimisation
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(dtype='bfloat16', optimizer=dict(lr=3.75e-4))

# runtime: epochs of a small folder are short
default_hooks = dict(checkpoint=dict(interval=10))

auto_scale_lr = dict(enable=False, base_batch_size=128)
