"""BEiT that reads its tokens from disk: k-means codes of colour and edges, ViT-S/16, your own images, one GPU.

The codes are fitted to your images, the images are encoded once, then training reads ids (docs/token_cache.md says
what that changes). With these cheap codes the cache saves little; with a network as tokenizer it saves more.

Results      none: they depend on your images
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 3.75e-4, chosen and not tuned
Differs from BEiT in: as beit-codes; 10 fixed crops an image, tokens of images without colour jitter
Run          python tools/fit_codes.py configs/beit/beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py --data DIR
             python tools/encode_tokens.py configs/beit/beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py \
             --crops 10 --out data/photos_tokens --cfg-options train_dataloader.dataset.data_root=DIR
             python tools/train.py configs/beit/beit-cached-codes_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=DIR
"""

_base_ = ['./beit-codes_vit-small-p16_1xb128-coslr-300e_custom.py']

cache = 'data/photos_tokens'

# data: loaded as beit-codes does it; the cache says where the crops lie
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='CachedTokenCrop', cache=cache, size=224),
    dict(type='BEiTMasks', patch_size=16, num_masked=75),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model: the tokenizer of beit-codes is built once, to compare it with the one that made the cache
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='CachedTokenizer',
        cache=cache,
        vocabulary_size=128,
        tokenizer={{_base_.model.tokenizer}},
    ),
)
