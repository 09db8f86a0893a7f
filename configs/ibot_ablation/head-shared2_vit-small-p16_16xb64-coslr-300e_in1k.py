"""iBOT whose heads of [CLS] and patches share the first two of three layers of the MLP and nothing more.

Paper        arXiv 2111.07832, Table 17, "shared*": k-NN 68.0, linear 73.7; one head 69.1, 74.2 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/head-shared2_vit-small-p16_16xb64-coslr-300e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(head=dict(shared=False, shared_layers=2))
