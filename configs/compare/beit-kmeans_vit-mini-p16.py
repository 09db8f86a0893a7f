"""BEiT with k-means codes of colours and gradients, a ViT of 0.9 million parameters: an arm of the comparison.

Paper        none; the method is that of arXiv 2106.08254 with codes that need no network
Reproduced   docs/compare_methods.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr chosen by the tool among three values
Differs from the published runs in: network, image size, tokenizer, no colour changes, length
Run          tools/benchmarks/compare_methods.py --data DIR --arms beit-features   (fits the codes first)
"""

_base_ = './_base_/beit.py'

model = dict(
    tokenizer=dict(
        type='KMeansTokenizer',
        features=dict(type='ColorGradientFeatures', patch_size={{_base_.patch_size}}),
        vocabulary_size=128,
        checkpoint=None,
    ),
)
