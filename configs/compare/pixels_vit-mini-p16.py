"""Pixel regression with BEiT's masks, a ViT of 0.9 million parameters: an arm of the comparison.

Paper        arXiv 2106.08254, Table 4, row "- visual tokens"
Reproduced   docs/compare_methods.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr chosen by the tool among three values
Differs from the published run in: network, image size, no colour changes, length
Run          tools/benchmarks/compare_methods.py --data DIR --arms pixels
"""

_base_ = './_base_/beit.py'

model = dict(tokenizer=dict(type='PixelTokenizer', patch_size={{_base_.patch_size}}))
