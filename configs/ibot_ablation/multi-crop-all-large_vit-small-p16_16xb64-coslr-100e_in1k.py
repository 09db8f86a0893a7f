"""iBOT with ten larger local crops, patches hidden in all crops, 100 epochs.

Paper        arXiv 2111.07832, appendix B, Figures 7 and 8, k-NN after 100 epochs: pipeline (e) 56.6 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Run          tools/dist_train.sh configs/ibot_ablation/multi-crop-all-large_vit-small-p16_16xb64-coslr-100e_in1k.py 8
"""

_base_ = 'multi-crop-all_vit-small-p16_16xb64-coslr-100e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(local_scale=(0.2, 0.4))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
