"""BEiT with patches hidden at random, ViT-B/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2106.08254v1, Table 4, row "- blockwise masking": ImageNet 82.77, ADE20K 42.93 (quoted; BEiT itself
             82.86 and 44.65)
Reproduced   not yet run
Hardware     16 GPUs
Batch        2048 = 16 GPUs x 128; lr 1.5e-3
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Run          tools/dist_train.sh \
             configs/tokenizer_ablation/beit-random-masks_vit-base-p16_16xb128-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = '../beit/beit-abs_vit-base-p16_16xb128-coslr-300e_in1k.py'

# data
train_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(type='TwoResolutionCrop', size=224, target_size=112),
    dict(type='BEiTMasks', patch_size=16, num_masked=75, shape='rand'),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
