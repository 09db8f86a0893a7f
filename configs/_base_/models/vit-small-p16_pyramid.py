# What every detector on a plain ViT-S/16 has, as iBOT detects objects of COCO: raw taps at four depths, a pyramid of
# strides 4, 8, 16 and 32 made with transposed convolutions, then FPN. The models of mmdetection take it from here.
vit_small = dict(
    arch='small',
    img_size=(800, 1008),
    patch_size=16,
    pos_interpolation='ibot',
    drop_path_rate=0.1,
    out_indices=(3, 5, 7, 11),
    out_type='featmap',
    final_norm='none',
)
pyramid = [
    dict(type='mim_plugin.FeaturePyramid', in_channels=384),
    dict(type='FPN', in_channels=[384, 384, 384, 384], out_channels=256, num_outs=5),
]
