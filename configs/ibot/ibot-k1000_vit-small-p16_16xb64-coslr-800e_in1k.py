"""iBOT with 1000 prototypes, for unsupervised classification, ViT-S/16, ImageNet-1K, 800 epochs.

Paper        arXiv 2111.07832, Table 5: ACC 43.4, ARI 32.8, NMI 78.6, FMI 35.6 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Assumed      everything but the number of prototypes is that of the run with 8192
Run          tools/dist_train.sh configs/ibot/ibot-k1000_vit-small-p16_16xb64-coslr-800e_in1k.py 8   (NNODES=2)
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-800e_in1k.py'

# model
model = dict(head=dict(out_dim=1000))
