"""iBOT with half the weight on [CLS].

Paper        arXiv 2111.07832, ablation of L_CLS / L_MIM, k-NN and linear: 0.5: 68.7, 73.8; 1, the base: 69.1, 74.2; 2:
             69.4, 74.1 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/loss-ratio-0.5_vit-small-p16_16xb64-coslr-300e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(loss=dict(cls_weight=0.5))
