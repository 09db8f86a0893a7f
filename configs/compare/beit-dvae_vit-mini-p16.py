"""BEiT with a dVAE trained on the same images, a ViT of 0.9 million parameters: an arm of the comparison.

Paper        arXiv 2106.08254; its dVAE had seen 250 million images
Reproduced   docs/compare_methods.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr chosen by the tool among three values
Differs from the published runs in: network, image size, dVAE, no colour changes, length
Run          tools/benchmarks/compare_methods.py --data DIR --arms beit-dvae   (trains the dVAE first)
"""

_base_ = './_base_/beit.py'

# data: the dVAE sees half the size
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='TwoResolutionCrop',
        size={{_base_.crop_size}},
        target_size=32,
        scale={{_base_.crop_scale}},
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
    ),
    dict(type='BEiTMasks', patch_size={{_base_.patch_size}}, num_masked=0.4, min_per_block=2),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(
    tokenizer=dict(
        type='DVAETokenizer',
        network=dict(
            type='StridedDVAE', vocabulary_size=128, codebook_dim=64, num_layers=3, hidden_dim=32, out_channels=6
        ),
        checkpoint=None,
    ),
)
