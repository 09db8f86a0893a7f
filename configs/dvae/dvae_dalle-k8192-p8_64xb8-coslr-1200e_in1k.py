"""DALL-E's discrete autoencoder from scratch, on ImageNet-1K.

Paper        arXiv 2102.12092, appendix A.2: 3,000,000 updates of 512 images of 256 pixels; no figure is given (quoted)
Reproduced   not yet run
Hardware     64 GPUs (as published)
Batch        512 = 64 GPUs x 8; lr 1e-4
Differs from the original in: images (ImageNet instead of 250 million from the web), float32 instead of mixed precision
Run          tools/dist_train.sh configs/dvae/dvae_dalle-k8192-p8_64xb8-coslr-1200e_in1k.py 8   (NNODES=8)
"""

_base_ = [
    '../_base_/datasets/folder_dvae.py',
    '../_base_/schedules/dvae_adamw_coslr.py',
    '../_base_/default_runtime.py',
]

# data
train_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(
        type='MultiCrop',
        global_crops=1,
        global_size=256,
        global_scale=(0.08, 1.0),
        flip_prob=0.5,
        jitter_prob=0.0,
        gray_prob=0.0,
        blur_probs=(0.0, 0.0, 0.0),
        solarize_prob=0.0,
    ),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    dataset=dict(data_root='data/imagenet/', data_prefix='train', pipeline=train_pipeline),
)

# model
model = dict(
    type='DiscreteVAE',
    network=dict(type='DALLEDVAE', vocabulary_size=8192, hidden_dim=256, blocks_per_group=2, init_dim=128),
    pixel_law='logit_laplace',
)

# optimisation: 1200 epochs of 2502 updates are 3,000,000; the learning rate falls in the first 1,200,000
train_cfg = dict(max_epochs=1200)
optim_wrapper = dict(optimizer=dict(lr=1e-4), clip_grad=None)
param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1.25e-6, epochs=480, convert_to_iter_based=True),
]

# hooks
custom_hooks = [
    dict(
        type='DiscreteVAEScheduleHook',
        start_temperature=1.0,
        end_temperature=1 / 16,
        temperature_iters=150_000,
        kl_weight=6.6,
        kl_iters=5_000,
    ),
    dict(type='EMAHook', momentum=0.001),
    dict(type='ReconstructionHook', interval=10),
]

auto_scale_lr = dict(enable=False, base_batch_size=512)
