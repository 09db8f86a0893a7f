"""iBOT with a quicker centre of patches.

Paper        arXiv 2111.07832, ablation of m', k-NN and linear: 0.8: 68.7, 74.0; 0.9, the base: 69.1, 74.2; 0.99: 68.8,
             73.8; 0.999: 68.9, 73.8 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/center-momentum-0.8_vit-small-p16_16xb64-coslr-300e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# model
model = dict(loss=dict(patch_center_momentum=0.8))
