"""iBOT whose student has wholly separate heads of [CLS] and patches, the teacher one.

Paper        arXiv 2111.07832, Table 17, "semi-shared": k-NN 68.4, linear 73.7; one head 69.1, 74.2 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Assumed      the teacher's head follows the student's of [CLS], as the published code does with prototypes alone
Run          tools/dist_train.sh configs/ibot_ablation/head-semi_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(
    head=dict(shared=False, shared_layers=0),
    tokenizer=dict(head=dict(shared=True, shared_layers=None)),
)
