# DINO with ViT-S/16: the teacher is made like the student.
model = dict(
    type='DINO',
    data_preprocessor=dict(
        type='MIMDataPreprocessor',
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
    ),
    backbone=dict(
        type='MIMVisionTransformer',
        arch='small',
        img_size=224,
        patch_size=16,
        pos_interpolation='ibot',
        drop_path_rate=0.1,
    ),
    head=dict(
        type='ProjectionHead',
        out_dim=65536,
        hidden_dim=2048,
        bottleneck_dim=256,
        num_layers=3,
        act='gelu',
        norm_last_layer=False,
    ),
    tokenizer=dict(type='EMATeacher'),
    loss=dict(type='SelfDistillationLoss', student_temp=0.1, center_momentum=0.9),
)
