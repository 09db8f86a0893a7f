# A ViT-B/16 as BEiT's published code classifies with it: a relative position bias for each block (which starts from the
# one of the pretraining), no bias for keys, layer scale, the norm of the mean patch, one linear layer that starts near
# zero; mixed images, labels smoothed after mixing.
model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mim_plugin.MIMVisionTransformer',
        arch='base',
        img_size=224,
        patch_size=16,
        pos_embed=None,
        relative_bias='per_block',
        qkv_bias='qv',
        layer_scale=0.1,
        init='beit_finetune',
        drop_path_rate=0.1,
        mean_pooling=True,
        out_type='avg_featmap',
    ),
    head=dict(
        type='mmpretrain.LinearClsHead',
        num_classes=1000,
        in_channels=768,
        # 0.02 x 0.001, the published scale of the start
        init_cfg=dict(type='Normal', layer='Linear', std=2e-5),
        loss=dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    # one of both for every batch, chosen with equal chances
    train_cfg=dict(augments=[dict(type='mmpretrain.Mixup', alpha=0.8), dict(type='mmpretrain.CutMix', alpha=1.0)]),
)
