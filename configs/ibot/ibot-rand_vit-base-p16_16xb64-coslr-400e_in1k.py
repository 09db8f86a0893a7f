"""iBOT with random masks, ViT-B/16, ImageNet-1K, 400 epochs.

Published    k-NN 77.3, linear 79.8, fine-tuned 84.1 (the published code's table of models, quoted)
Reproduced   not yet run
Hardware     24 V100 GPUs in the published run (README)
Batch        1024 = 16 GPUs x 64 (the paper's batch); lr 3e-3 = 7.5e-4 x batch / 256
Second-hand  as for the blockwise recipe; prediction ratio 0 or 0.7 +- 0.05
Run          tools/dist_train.sh configs/ibot/ibot-rand_vit-base-p16_16xb64-coslr-400e_in1k.py 8   (NNODES=2)
"""

_base_ = 'ibot_vit-base-p16_16xb64-coslr-400e_in1k.py'

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
    dict(type='PredictionMasks', patch_size=16, pred_ratio=(0.0, 0.7), pred_ratio_var=(0.0, 0.05), pred_shape='rand'),
    dict(type='PackViews'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
