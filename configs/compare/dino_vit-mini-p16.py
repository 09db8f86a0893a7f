"""DINO (iBOT without hidden patches), a ViT of 0.9 million parameters: an arm of the comparison.

Paper        arXiv 2104.14294; arXiv 2111.07832, Tables 1 and 2, rows "DINO"
Reproduced   docs/compare_methods.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr chosen by the tool among three values
Differs from the published runs in: network, head (512 prototypes, batch norm), 2 local crops, no colour changes,
             faster teacher, length
Run          tools/benchmarks/compare_methods.py --data DIR --arms dino
"""

_base_ = './_base_/self_distillation.py'

train_pipeline = [dict(type='LoadImagePIL'), {{_base_.multi_crop}}, dict(type='PackViews')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(type='DINO')
