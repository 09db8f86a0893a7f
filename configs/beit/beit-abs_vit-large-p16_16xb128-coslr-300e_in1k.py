"""BEiT in the form of the paper, ViT-L/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2106.08254, the recipe of Table 5 at the length of Table 4, without a result
Reproduced   not yet run
Hardware     16 GPUs
Batch        2048 = 16 GPUs x 128; lr 1.5e-3, the same for all sizes (absolute, not scaled with the batch)
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Run          tools/dist_train.sh configs/beit/beit-abs_vit-large-p16_16xb128-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = 'beit-abs_vit-large-p16_16xb128-coslr-800e_in1k.py'

# optimisation
train_cfg = dict(max_epochs=300)
