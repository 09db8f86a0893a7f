# iBOT with Swin-T and windows of 7 x 7 cells. Patches are hidden and predicted in cells of 32 x 32 pixels.
model = dict(
    type='IBOT',
    data_preprocessor=dict(
        type='MIMDataPreprocessor',
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
    ),
    backbone=dict(
        type='MIMSwinTransformer',
        arch='tiny',
        img_size=224,
        patch_size=4,
        window_size=7,
        mask_token=True,
        drop_path_rate=0.1,
    ),
    head=dict(
        type='ProjectionHead',
        out_dim=8192,
        hidden_dim=2048,
        bottleneck_dim=256,
        num_layers=3,
        act='gelu',
        norm_last_layer=False,
        shared=True,
    ),
    tokenizer=dict(type='EMATeacher'),
    loss=dict(
        type='SelfDistillationLoss',
        student_temp=0.1,
        center_momentum=0.9,
        patch_center_momentum=0.9,
        cls_weight=1.0,
        patch_weight=1.0,
    ),
)
