"""BEiT with DALL-E's codes, ViT-S/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2111.07832, Table 9, row "BEiT": k-NN 6.9, linear 23.5, fine-tuned 81.4; Table 20: linear
             24.2 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 7.5e-4 = BEiT's 1.5e-3 x batch / 2048
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Assumed      the paper prints results only: BEiT's recipe with absolute positions and no layer scale, as the other rows
Run          tools/dist_train.sh configs/tokenizer_ablation/beit_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = 'mpp_vit-small-p16_16xb64-coslr-300e_in1k.py'

# data: the tokenizer sees 112 x 112 pixels
train_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(type='TwoResolutionCrop', size=224, target_size=112),
    dict(type='BEiTMasks', patch_size=16, num_masked=75),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(tokenizer=dict(_delete_=True, type='DALLETokenizer', checkpoint='checkpoints/dall-e/encoder.pkl'))
