# iBOT with the quickstart's network and a head small enough for minutes on two CPU cores.
_base_ = './vit-mini-p16.py'

model = dict(
    type='IBOT',
    data_preprocessor=dict(type='MIMDataPreprocessor', mean={{_base_.pixel_mean}}, std={{_base_.pixel_std}}),
    backbone=dict(
        type='MIMVisionTransformer',
        arch={{_base_.arch}},
        img_size={{_base_.crop_size}},
        patch_size={{_base_.patch_size}},
        mask_token=True,
        drop_path_rate=0.05,
    ),
    # Batch norm in the head keeps a batch of 64 from collapsing.
    head=dict(type='ProjectionHead', out_dim=512, hidden_dim=256, bottleneck_dim=64, norm='bn', norm_last_layer=True),
    tokenizer=dict(type='EMATeacher'),
    loss=dict(type='SelfDistillationLoss'),
)
