# A ViT-S/16 as iBOT classifies with it: absolute positions, [CLS] after the final norm, one linear layer that starts
# near zero; mixed images, labels smoothed after mixing.
model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mim_plugin.MIMVisionTransformer',
        arch='small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        out_type='cls_token',
    ),
    head=dict(
        type='mmpretrain.LinearClsHead',
        num_classes=1000,
        in_channels=384,
        # 0.02 x 0.001, the published scale of the start
        init_cfg=dict(type='Normal', layer='Linear', std=2e-5),
        loss=dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    # one of both for every batch, chosen with equal chances
    train_cfg=dict(augments=[dict(type='mmpretrain.Mixup', alpha=0.8), dict(type='mmpretrain.CutMix', alpha=1.0)]),
)
