"""iBOT, the network of 0.9 million parameters that this package ships, goes on on a folder of small images, 40 epochs.

Guard        k-NN among the labelled images of data_root/val (CLASS/IMAGE), see the configs for ViT-S/16 beside this one
Page         docs/continue_pretraining.md shows what was measured
Hardware     2 CPU cores
Batch        64; lr 2e-4, a fifth of that of the checkpoint's training
Run          python tools/train.py configs/continued/ibot_vit-mini-p16_1xb64-40e_custom.py \
             --cfg-options load_from=mim_plugin/zoo/ibot_vit-mini-p16/model.safetensors data_root=/path/to/images
"""

_base_ = '../quickstart/ibot_vit-mini-p16_1xb64-150e_mixed.py'

# data
data_root = 'data/photos/'
train_dataloader = dict(dataset=dict(data_root=data_root))

# optimisation
train_cfg = dict(max_epochs=40)
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(apart=r'backbone\.(?!mask_token)'))

# schedules
param_scheduler = [
    dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=1, convert_to_iter_based=True),
    dict(type='WarmupCosineParamScheduler', param_name='weight_decay', end_value=0.2, convert_to_iter_based=True),
]

# hooks
guard_hook = dict(
    type='FeatureGuardHook',
    k=20,
    tolerance=2.0,  # standard errors
    interval=10,
    bank_dataloader=dict(
        batch_size=64,
        num_workers=1,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='ImageFolderLabels', data_root=data_root, data_prefix='val', pipeline={{_base_.feature_pipeline}}
        ),
    ),
)
custom_hooks = [
    dict(type='MomentumTeacherHook', momentum=0.995),
    dict(
        type='SelfDistillationScheduleHook',
        warmup_teacher_temp=0.06,
        teacher_temp=0.06,
        warmup_teacher_patch_temp=0.06,
        teacher_patch_temp=0.06,
        warmup_epochs=0,
    ),
    dict(type='HeadWarmupHook', epochs=3, release_epochs=2),
    dict(type='EffectiveRankHook', interval=100),
    guard_hook,
]
