"""iBOT, a ViT of 0.9 million parameters, 150 epochs of 2,620 small images: the checkpoint that the package ships.

Paper        none: small enough for an hour of two CPU cores; the method is that of arXiv 2111.07832
Reproduced   mim_plugin/zoo/ibot_vit-mini-p16/README.md shows its figures and names its images
Hardware     1 CPU core and one for the loader
Batch        64; lr 1e-3 for this batch
Differs from the published runs in: network, head (512 prototypes, batch norm), crops (64 and 32 pixels), 2 local
             crops, no colour changes, faster teacher, short warm-ups
Run          tools/train.py configs/quickstart/ibot_vit-mini-p16_1xb64-150e_mixed.py
             --cfg-options train_dataloader.dataset.data_root=FOLDER
"""

_base_ = './ibot_vit-mini-p16_1xb64-12e_solar-cells.py'

# data: images with a shorter side of 160 pixels
train_dataloader = dict(dataset=dict(data_root='data/mixed/'))

# optimisation
train_cfg = dict(max_epochs=150)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

# schedules
param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=10, convert_to_iter_based=True),
    dict(type='WarmupCosineParamScheduler', param_name='weight_decay', end_value=0.2, convert_to_iter_based=True),
]

# hooks
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=5))
custom_hooks = [
    dict(type='MomentumTeacherHook', momentum=0.99),
    dict(
        type='SelfDistillationScheduleHook',
        warmup_teacher_temp=0.04,
        teacher_temp=0.06,
        warmup_teacher_patch_temp=0.04,
        teacher_patch_temp=0.06,
        warmup_epochs=30,
    ),
    dict(type='FreezeLastLayerHook', epochs=1),
    dict(type='EffectiveRankHook', interval=100),
]
log_processor = dict(window_size=20)
