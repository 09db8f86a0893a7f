"""iBOT without local crops, 100 epochs.

Paper        arXiv 2111.07832, appendix B, Figures 7 and 8, k-NN after 100 epochs: pipeline (a) 62.1 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/multi-crop-none_vit-small-p16_16xb64-coslr-100e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# optimisation
train_cfg = dict(max_epochs=100)
