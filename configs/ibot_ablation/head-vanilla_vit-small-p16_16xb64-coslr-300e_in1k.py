"""iBOT with wholly separate heads of [CLS] and patches, in student and teacher.

Paper        arXiv 2111.07832, Table 17, "vanilla": k-NN 68.9, linear 73.9; one head 69.1, 74.2 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/head-vanilla_vit-small-p16_16xb64-coslr-300e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(head=dict(shared=False, shared_layers=0))
