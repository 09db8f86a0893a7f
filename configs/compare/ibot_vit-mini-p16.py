"""iBOT, a ViT of 0.9 million parameters, minutes of training on a labelled folder: an arm of the comparison.

Paper        arXiv 2111.07832, Tables 1 and 2 compare it with DINO and BEiT at full size
Reproduced   docs/compare_methods.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr chosen by the tool among three values
Differs from the published runs in: network, head (512 prototypes, batch norm), 2 local crops, no colour changes,
             faster teacher, length
Run          tools/benchmarks/compare_methods.py --data DIR --arms ibot
"""

_base_ = './_base_/self_distillation.py'

train_pipeline = [
    dict(type='LoadImagePIL'),
    {{_base_.multi_crop}},
    dict(
        type='PredictionMasks',
        patch_size={{_base_.patch_size}},
        pred_ratio=(0.0, 0.3),
        pred_ratio_var=(0.0, 0.2),
    ),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(type='IBOT', backbone=dict(mask_token=True))
