"""iBOT with ten local crops, patches hidden in half of the global crops, 100 epochs.

Paper        arXiv 2111.07832, appendix B, Figures 7 and 8, k-NN after 100 epochs: (b) with random MIM 71.5 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Assumed      each crop draws for itself, as in the published code
Run          tools/dist_train.sh configs/ibot_ablation/multi-crop-random_vit-small-p16_16xb64-coslr-100e_in1k.py 8
"""

_base_ = 'multi-crop-global_vit-small-p16_16xb64-coslr-100e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(pred_ratio=(0.0, 0.3), pred_ratio_var=0.0)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
