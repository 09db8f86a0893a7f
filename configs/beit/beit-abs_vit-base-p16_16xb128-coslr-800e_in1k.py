"""BEiT in the form of the paper, ViT-B/16, ImageNet-1K, 800 epochs: absolute positions, no layer scale.

Paper        arXiv 2106.08254, Tables 1 and 3: fine-tuned 83.2, ADE20K 45.6 (quoted). Released as
             beit_base_patch16_224_pt1k_800ep
Reproduced   not yet run
Hardware     16 GPUs (the paper: 16 V100 with 32 GB, 5 days)
Batch        2048 = 16 GPUs x 128; lr 1.5e-3, the same for all sizes (absolute, not scaled with the batch)
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Values from  Table 5; the published README for positions and layer scale
Run          tools/dist_train.sh configs/beit/beit-abs_vit-base-p16_16xb128-coslr-800e_in1k.py 8   (NNODES=2)
"""

_base_ = 'beit_vit-base-p16_16xb128-coslr-800e_in1k.py'

# model
model = dict(backbone=dict(pos_embed='absolute', relative_bias=None, layer_scale=0.0))
