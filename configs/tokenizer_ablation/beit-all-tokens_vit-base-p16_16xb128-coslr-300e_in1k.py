"""BEiT that predicts the codes of all patches, hidden or not, ViT-B/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2106.08254v1, Table 4, row "+ recover 100% visual tokens": ImageNet 82.59, ADE20K 40.93 (quoted; BEiT
             itself 82.86 and 44.65)
Reproduced   not yet run
Hardware     16 GPUs
Batch        2048 = 16 GPUs x 128; lr 1.5e-3
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Run          tools/dist_train.sh \
             configs/tokenizer_ablation/beit-all-tokens_vit-base-p16_16xb128-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = '../beit/beit-abs_vit-base-p16_16xb128-coslr-300e_in1k.py'

# model
model = dict(predict='all')
