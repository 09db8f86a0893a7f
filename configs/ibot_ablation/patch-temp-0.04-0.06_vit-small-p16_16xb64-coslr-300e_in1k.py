"""iBOT with a sharper teacher of patches.

Paper        arXiv 2111.07832, ablation of the patch temperature, k-NN and linear: 0.04 to 0.06: 68.5, 73.5; 0.04 to
             0.07, the base: 69.1, 74.2; 0.05 to 0.08: 68.7, 73.9 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/patch-temp-0.04-0.06_vit-small-p16_16xb64-coslr-300e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# hooks
custom_hooks = _base_.custom_hooks
custom_hooks[1].update(warmup_teacher_patch_temp=0.04, teacher_patch_temp=0.06)
