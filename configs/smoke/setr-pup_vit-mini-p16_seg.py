"""SETR-PUP on the small ViT, 200 steps on 120 road scenes: one of the smoke runs.

Paper        none: small enough for two CPU cores; the head is that of BEiT's ADE20K runs in its paper with 32 channels
Reproduced   docs/downstream_smoke.md shows what was measured
Hardware     2 CPU cores
Batch        8; lr 1e-3 for this batch
Values from  mmseg::_base_/models/setr_pup.py; lr, length and widths are ours
Differs from the published runs in: network, widths, data, schedule, no layer-wise decay
Needs        mmsegmentation, and the images that docs/downstream_smoke.md describes
Run          tools/benchmarks/downstream_smoke.py --data DIR --tasks setr-pup   (fills in folder, start and seed)
"""

_base_ = ['mmseg::_base_/models/setr_pup.py', './_base_/seg.py']

width = {{_base_.embed_dims}}
num_classes = {{_base_.num_classes}}
head = dict(
    type='SETRUPHead',
    in_channels=width,
    channels=32,
    num_classes=num_classes,
    dropout_ratio=0,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    num_convs=1,
    up_scale=4,
    kernel_size=3,
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
)
model = dict(
    pretrained=None,
    data_preprocessor={{_base_.preprocessor}},
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch={{_base_.arch}},
        img_size={{_base_.crop_size}},
        patch_size={{_base_.patch_size}},
        out_indices=(0, 1, 2, 3),
        out_type='featmap',
        final_norm='all',
    ),
    decode_head=dict(in_channels=width, channels=32, num_classes=num_classes),
    auxiliary_head=[{**head, 'in_index': index} for index in range(3)],
)
