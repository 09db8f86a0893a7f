"""A very small discrete autoencoder for images of 32 x 32 pixels, for one processor core.

512 codes, one for 4 x 4 pixels. It shows in minutes what training a tokenizer looks like; for photographs take
configs/dvae/dvae_k512-p8_1xb64-coslr-100e_custom.py.

Results      6000 images of CIFAR-10: 289 of 512 codes occur on 1500 test images, 20.6 dB (docs/dvae.md)
Hardware     1 processor core, 217 s
Batch        24 crops of 16 pixels, which a network of convolutions can do without the rest of the image; lr 2e-3
Differs from DALL-E's in: network, codes, length; a code stands for 48 values instead of 192, so that a weight of the
             prior of 2 is about as strong, by value, as DALL-E's 6.6
Run          python tools/train.py configs/dvae/dvae-mini_k512-p4_1xb24-coslr-16e_custom-32x32.py \
             --cfg-options train_dataloader.dataset.data_root=/path/to/images
"""

_base_ = [
    '../_base_/models/dvae_k512-p8.py',
    '../_base_/datasets/folder_dvae.py',
    '../_base_/schedules/dvae_adamw_coslr.py',
    '../_base_/default_runtime.py',
]

# data: a quarter of the image as it is
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        type='MultiCrop',
        global_crops=1,
        global_size=16,
        global_scale=(0.25, 0.25),
        ratio=(1.0, 1.0),
        flip_prob=0.5,
        jitter_prob=0.0,
        gray_prob=0.0,
        blur_probs=(0.0, 0.0, 0.0),
        solarize_prob=0.0,
    ),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=24, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline)
)  # fmt: skip

# model
model = dict(network=dict(codebook_dim=64, num_layers=2, hidden_dim=32))

# optimisation
train_cfg = dict(max_epochs=16)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-5, warmup_iters=100, convert_to_iter_based=True),
]
custom_hooks = [
    dict(type='DiscreteVAEScheduleHook', start_temperature=1.0, end_temperature=1 / 16, kl_weight=2.0),
    dict(type='ReconstructionHook', interval=4, num_images=12),
]
