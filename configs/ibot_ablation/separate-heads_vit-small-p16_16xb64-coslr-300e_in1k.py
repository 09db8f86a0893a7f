"""iBOT with separate prototypes of [CLS] and patches, in student and teacher.

Paper        arXiv 2111.07832, Table 9: k-NN 69.0, linear 73.8, fine-tuned 81.5; with shared ones 69.1, 74.2, 81.5
             (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Assumed      the MLP stays shared, as the published code does with shared_head off
Run          tools/dist_train.sh configs/ibot_ablation/separate-heads_vit-small-p16_16xb64-coslr-300e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(head=dict(shared=False))
