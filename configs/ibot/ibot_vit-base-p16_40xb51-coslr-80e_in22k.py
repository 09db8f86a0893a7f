"""iBOT, ViT-B/16, ImageNet-22K, 80 epochs.

Paper        arXiv 2111.07832, Table 15: k-NN 71.1, linear 79.0 on ImageNet-1K; fine-tuned 84.4 (Table 3) (quoted).
             The released backbone is the student
Reproduced   not yet run
Batch        2040 = 40 GPUs x 51 (second-hand: a user's report); lr 4e-3 = 5e-4 x batch / 256, rounded
Assumed      crops as for ViT-B/16 on ImageNet-1K, all else the paper's section 3.2. If it is unstable, the authors
             advise a longer warm-up, another momentum of the teacher, or a lower beta_2
Run          NNODES=5 tools/dist_train.sh configs/ibot/ibot_vit-base-p16_40xb51-coslr-80e_in22k.py 8
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-160e_in22k.py'

# data
train_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(
        type='MultiCrop',
        global_crops=2,
        global_size=224,
        global_scale=(0.32, 1.0),
        local_crops=10,
        local_size=96,
        local_scale=(0.05, 0.32),
    ),
    dict(type='PredictionMasks', patch_size=16, pred_ratio=(0.0, 0.3), pred_ratio_var=(0.0, 0.2), pred_shape='block'),
    dict(type='PackViews'),
]
train_dataloader = dict(batch_size=51, dataset=dict(pipeline=train_pipeline))

# model
model = dict(backbone=dict(arch='base'), head=dict(norm_last_layer=True))

# optimisation
train_cfg = dict(max_epochs=80)
optim_wrapper = dict(optimizer=dict(lr=4e-3))

auto_scale_lr = dict(base_batch_size=2040)
