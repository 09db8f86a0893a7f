"""BEiT with k-means codes of a network of timm, ViT-S/16, a folder of your own images, one GPU, 300 epochs.

Any model of timm with a feature map of stride 16 will do, here the third stage of ResNet-50. Its weights are read from
a file that you name (timm publishes them as safetensors), then a tool fits the codes to your images.

Results      none: they depend on your images
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 3.75e-4, chosen and not tuned (BEiT's 1.5e-3 x batch / 2048 would be 9.4e-5)
Differs from BEiT in: its tokenizer; 1024 codes instead of 8192; absolute positions, no layer scale; bfloat16
Run          python tools/fit_codes.py configs/beit/beit-timm_vit-small-p16_1xb128-coslr-300e_custom.py --data DIR
             python tools/train.py configs/beit/beit-timm_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=DIR
"""

_base_ = ['./beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py']

# model
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        features=dict(
            type='TimmFeatures',
            model='resnet50',
            out_index=3,
            l2_norm=True,
            checkpoint='checkpoints/timm/resnet50.safetensors',
        ),
        vocabulary_size=1024,
        normalise='none',
        checkpoint='checkpoints/codes/resnet50_1024.safetensors',
    ),
)
