"""BEiT with k-means codes of your own pretrained ViT's patches, ViT-S/16, your own images, one GPU, 300 epochs.

The tokenizer is a transformer that was trained before, with this package or by the authors of iBOT or DINO: name its
file in tokenizer.features.checkpoint. A tool fits the codes to your images.

Results      none: they depend on your images
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 3.75e-4, chosen and not tuned (BEiT's 1.5e-3 x batch / 2048 would be 9.4e-5)
Differs from BEiT in: its tokenizer; 1024 codes instead of 8192; absolute positions, no layer scale; bfloat16
Run          python tools/fit_codes.py configs/beit/beit-features_vit-small-p16_1xb128-coslr-300e_custom.py --data DIR
             python tools/train.py configs/beit/beit-features_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=DIR
"""

_base_ = ['./beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py']

# model: out_indices chooses the block whose patches are clustered
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        features=dict(
            type='ViTFeatures',
            backbone=dict(type='MIMVisionTransformer', arch='small', img_size=224, patch_size=16, out_indices=-1),
            part='teacher',
            l2_norm=True,
            checkpoint='checkpoints/ibot_vit-small-p16.pth',
        ),
        vocabulary_size=1024,
        normalise='none',
        checkpoint='checkpoints/codes/ibot_vit-small-p16_1024.safetensors',
    ),
)
