"""BEiT with DALL-E's codes read from disk, ViT-B/16, ImageNet-1K, 800 epochs.

The tokens of 10 fixed crops of each image are made once (5.0 GB on disk); then no GPU holds or runs the tokenizer.
docs/token_cache.md says what that changes in the sampling.

Paper        arXiv 2106.08254, Table 1: fine-tuned 83.2 (quoted; with the tokenizer run in every step)
Reproduced   not yet run
Hardware     16 GPUs
Batch        2048 = 16 GPUs x 128; lr 1.5e-3
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Differs from the published run in: 10 fixed crops an image; tokens of images without colour jitter
Run          python tools/encode_tokens.py configs/beit/beit_vit-base-p16_16xb128-coslr-800e_in1k.py --crops 10 \
             --out data/imagenet_tokens
             tools/dist_train.sh configs/beit/beit-cached_vit-base-p16_16xb128-coslr-800e_in1k.py 8   (NNODES=2)
"""

_base_ = ['./beit_vit-base-p16_16xb128-coslr-800e_in1k.py']

cache = 'data/imagenet_tokens'

# data
train_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(type='CachedTokenCrop', cache=cache, size=224),
    dict(type='BEiTMasks', patch_size=16, num_masked=75),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model: the tokenizer is built once, to compare it with the one that made the cache
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='CachedTokenizer',
        cache=cache,
        vocabulary_size=8192,
        tokenizer={{_base_.model.tokenizer}},
    ),
)
