"""BEiT with k-means codes of a tiny autoencoder's latents (TAEF2), ViT-S/16, your own images, one GPU, 300 epochs.

TAEF2 (github.com/madebyollin/taesd, MIT licence, 5 MB) has a decoder: codes and predictions become pictures with
tools/visualization/draw_reconstructions.py. Its two files must lie where tokenizer.features says, then a tool fits the
codes to your images.

Results      none: they depend on your images
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 3.75e-4, chosen and not tuned (BEiT's 1.5e-3 x batch / 2048 would be 9.4e-5)
Differs from BEiT in: its tokenizer; 1024 codes instead of 8192; absolute positions, no layer scale; bfloat16
Run          python tools/fit_codes.py configs/beit/beit-taef2_vit-small-p16_1xb128-coslr-300e_custom.py --data DIR
             python tools/train.py configs/beit/beit-taef2_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=DIR
"""

_base_ = ['./beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py']

# data: a latent stands for 8 x 8 pixels, so the tokenizer sees half the size
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='TwoResolutionCrop', size=224, target_size=112),
    dict(type='BEiTMasks', patch_size=16, num_masked=75),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        features=dict(
            type='TAEF2Features',
            checkpoint='checkpoints/taef2/taef2_encoder.safetensors',
            decoder_checkpoint='checkpoints/taef2/taef2_decoder.safetensors',
        ),
        vocabulary_size=1024,
        normalise='none',
        checkpoint='checkpoints/codes/taef2_1024.safetensors',
    ),
)
