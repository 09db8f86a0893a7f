"""Regression of the pixels of hidden patches, ViT-B/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2106.08254v1, Table 4, row "- visual tokens (i.e., recover masked pixels)": ImageNet 81.04, ADE20K
             41.38 (quoted; BEiT itself 82.86 and 44.65)
Reproduced   not yet run
Hardware     16 GPUs
Batch        2048 = 16 GPUs x 128; lr 1.5e-3
Differs from the original in: its code is not published; the pixels are normalised by the statistics of ImageNet and
             the error is their mean square
Run          tools/dist_train.sh \
             configs/tokenizer_ablation/pixels_vit-base-p16_16xb128-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = '../beit/beit-abs_vit-base-p16_16xb128-coslr-300e_in1k.py'

# data: the pixels are those that the transformer would see
train_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(type='TwoResolutionCrop', size=224, target_size=None),
    dict(type='BEiTMasks', patch_size=16, num_masked=75, shape='block'),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(tokenizer=dict(_delete_=True, type='PixelTokenizer', patch_size=16))
