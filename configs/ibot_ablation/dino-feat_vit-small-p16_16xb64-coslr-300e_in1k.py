"""DINO with self-distillation between patches of two crops whose features are alike.

Paper        arXiv 2111.07832, appendix, "DINO + feat.": k-NN 68.5, linear 73.4; DINO 67.9, 72.5; iBOT 69.1, 74.2
             (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Differs from the original: its code is not published; which patches are compared is said in DenseDINO
Run          tools/dist_train.sh configs/ibot_ablation/dino-feat_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = 'dino_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(type='DenseDINO', matching='feature')
