"""A discrete autoencoder of 128 codes, seconds to minutes of training on a folder: the tokenizer of an arm.

Paper        arXiv 2102.12092, appendix A, trains one of 8192 codes at full size
Reproduced   docs/compare_methods.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr 3e-3 for this batch; set by looking at its own codes, not at what BEiT learns from them
Differs from the published run in: network, number of codes, crops of 32 pixels, weight of the prior, length
Run          tools/benchmarks/compare_methods.py --data DIR --arms beit-dvae   (trains it, then BEiT with it)
"""

_base_ = './_base_/common.py'

# data: half the size of the transformer's view, so that a code of 8 x 8 pixels stands for one of its patches
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='MultiCrop',
        global_crops=1,
        global_size=32,
        global_scale={{_base_.crop_scale}},
        color=False,
        jitter_prob=0.0,
        blur_probs=(0.0, 0.0, 0.0),
        solarize_prob=0.0,
    ),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(
    _delete_=True,
    type='DiscreteVAE',
    network=dict(
        type='StridedDVAE', vocabulary_size=128, codebook_dim=64, num_layers=3, hidden_dim=32, out_channels=6
    ),
)

# optimisation
optim_wrapper = dict(optimizer=dict(lr=3e-3, weight_decay=1e-4), clip_grad=dict(max_norm=1.0))

# hooks
custom_hooks = [dict(type='DiscreteVAEScheduleHook', kl_weight=1.0)]
