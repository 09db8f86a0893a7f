# BEiT with ViT-B/16 as its published code: one table of relative positions for all blocks, layer scale, no bias for
# the keys, its own starting values. A leaf config says which tokenizer.
model = dict(
    type='BEiT',
    data_preprocessor=dict(
        type='MIMDataPreprocessor',
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        with_target=True,
    ),
    backbone=dict(
        type='MIMVisionTransformer',
        arch='base',
        img_size=224,
        patch_size=16,
        pos_embed=None,
        relative_bias='shared',
        qkv_bias='qv',
        layer_scale=0.1,
        mask_token=True,
        init='beit',
        drop_path_rate=0.1,
    ),
    predict='hidden',
)
