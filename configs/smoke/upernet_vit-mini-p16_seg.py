"""UPerNet on the small ViT, 200 steps on 120 road scenes: one of the smoke runs.

Paper        none: small enough for two CPU cores; the head is that of iBOT's and BEiT's ADE20K runs with 64 channels
Reproduced   docs/downstream_smoke.md shows what was measured
Hardware     2 CPU cores
Batch        8; lr 1e-3 for this batch
Values from  the model of iBOT's ADE20K runs; lr, length and widths are ours
Differs from the published runs in: network, widths, data, schedule, no layer-wise decay
Needs        mmsegmentation, and the images that docs/downstream_smoke.md describes
Run          tools/benchmarks/downstream_smoke.py --data DIR --tasks upernet   (fills in folder, start and seed)
"""

_base_ = ['../_base_/models/upernet_ibot-vit-base-p16.py', './_base_/seg.py']

model = dict(
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
    neck=dict(in_channels={{_base_.embed_dims}}),
    decode_head=dict(in_channels=[{{_base_.embed_dims}}] * 4, channels=64, num_classes={{_base_.num_classes}}),
    auxiliary_head=dict(in_channels={{_base_.embed_dims}}, channels=64, num_classes={{_base_.num_classes}}),
    test_cfg=dict(_delete_=True, mode='whole'),
)
