"""iBOT with ten local crops, patches hidden in every global crop, 100 epochs.

Paper        arXiv 2111.07832, appendix B, Figures 7 and 8, k-NN after 100 epochs: pipeline (b) 62.0 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Assumed      the crop scales of the released run of 800 epochs
Run          tools/dist_train.sh configs/ibot_ablation/multi-crop-global_vit-small-p16_16xb64-coslr-100e_in1k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(global_scale=(0.25, 1.0), local_crops=10, local_scale=(0.05, 0.25))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# optimisation
train_cfg = dict(max_epochs=100)
