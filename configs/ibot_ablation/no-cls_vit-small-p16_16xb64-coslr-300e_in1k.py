"""iBOT without the loss of [CLS]: masked image modeling with an online tokenizer alone.

Paper        arXiv 2111.07832, Table 9: k-NN 9.5, linear 29.8, fine-tuned 79.4; with it 69.1, 74.2, 81.5 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/no-cls_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(loss=dict(cls_weight=0.0))
