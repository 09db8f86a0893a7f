"""BEiT, ViT-L/16, ImageNet-22K, 150 epochs.

Paper        arXiv 2111.07832, Table 3: fine-tuned on ImageNet-1K 86.0 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        2048 = 16 GPUs x 128; lr 1.5e-3, the same for all sizes (absolute, not scaled with the batch)
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Values from  the ViT-B/16 recipe of that README; layer scale 1e-5 as it says; clip 1.0 as Table 5 of arXiv 2106.08254
Run          tools/dist_train.sh configs/beit/beit_vit-large-p16_16xb128-coslr-150e_in22k.py 8   (NNODES=2)
"""

_base_ = 'beit_vit-base-p16_16xb128-coslr-150e_in22k.py'

# model
model = dict(backbone=dict(arch='large', layer_scale=1e-5))

# optimisation
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
