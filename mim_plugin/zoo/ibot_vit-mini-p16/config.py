arch = dict(
    embed_dims=128, feedforward_channels=512, num_heads=4, num_layers=4)
crop_size = 64
custom_hooks = [
    dict(momentum=0.99, type='MomentumTeacherHook'),
    dict(
        teacher_patch_temp=0.06,
        teacher_temp=0.06,
        type='SelfDistillationScheduleHook',
        warmup_epochs=30,
        warmup_teacher_patch_temp=0.04,
        warmup_teacher_temp=0.04),
    dict(epochs=1, type='FreezeLastLayerHook'),
    dict(interval=100, type='EffectiveRankHook'),
]
data_root = 'work_dirs/quickstart/data/solar/train'
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=2, type='CheckpointHook'),
    logger=dict(interval=20, type='LoggerHook'),
    param_scheduler=dict(type='ParamSchedulerHook'),
    runtime_info=dict(type='DeviceRuntimeInfoHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    timer=dict(type='IterTimerHook'))
default_scope = 'mim_plugin'
embed_dims = 128
env_cfg = dict(
    cudnn_benchmark=True,
    dist_cfg=dict(backend='nccl'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
feature_pipeline = [
    dict(type='LoadImagePIL'),
    dict(size=96, type='ResizeShortSide'),
    dict(size=96, type='CenterCrop'),
    dict(type='PackImage'),
]
image_size = 96
load_from = None
log_level = 'INFO'
log_processor = dict(window_size=20)
model = dict(
    backbone=dict(
        arch=dict(
            embed_dims=128,
            feedforward_channels=512,
            num_heads=4,
            num_layers=4),
        drop_path_rate=0.05,
        img_size=64,
        mask_token=True,
        patch_size=16,
        type='MIMVisionTransformer'),
    data_preprocessor=dict(
        mean=(
            123.675,
            116.28,
            103.53,
        ),
        std=(
            58.395,
            57.12,
            57.375,
        ),
        type='MIMDataPreprocessor'),
    head=dict(
        bottleneck_dim=64,
        hidden_dim=256,
        norm='bn',
        norm_last_layer=True,
        out_dim=512,
        type='ProjectionHead'),
    loss=dict(type='SelfDistillationLoss'),
    tokenizer=dict(type='EMATeacher'),
    type='IBOT')
num_images = 1836
optim_wrapper = dict(
    clip_grad=dict(max_norm=3.0, per_parameter=True),
    constructor='MIMOptimWrapperConstructor',
    optimizer=dict(lr=0.001, type='AdamW', weight_decay=0.04),
    type='MIMOptimWrapper')
param_scheduler = [
    dict(
        convert_to_iter_based=True,
        eta_min=1e-06,
        type='WarmupCosineLR',
        warmup_epochs=10),
    dict(
        convert_to_iter_based=True,
        end_value=0.2,
        param_name='weight_decay',
        type='WarmupCosineParamScheduler'),
]
patch_size = 16
pixel_mean = (
    123.675,
    116.28,
    103.53,
)
pixel_std = (
    58.395,
    57.12,
    57.375,
)
randomness = dict(diff_rank_seed=True, seed=0)
resume = False
train_cfg = dict(max_epochs=150, type='ResumableEpochLoop')
train_dataloader = dict(
    batch_size=64,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        data_root='data/mixed/',
        pipeline=[
            dict(type='LoadImagePIL'),
            dict(
                blur_probs=(
                    0.3,
                    0.1,
                    0.2,
                ),
                color=False,
                global_scale=(
                    0.3,
                    1.0,
                ),
                global_size=64,
                jitter_prob=0.5,
                local_crops=2,
                local_scale=(
                    0.1,
                    0.4,
                ),
                local_size=32,
                solarize_prob=0.0,
                type='MultiCrop'),
            dict(
                patch_size=16,
                pred_ratio=(
                    0.0,
                    0.3,
                ),
                pred_ratio_var=(
                    0.0,
                    0.2,
                ),
                type='PredictionMasks'),
            dict(type='PackViews'),
        ],
        type='UnlabelledImages'),
    drop_last=True,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(shuffle=True, type='ResumableSampler'))
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(
        blur_probs=(
            0.3,
            0.1,
            0.2,
        ),
        color=False,
        global_scale=(
            0.3,
            1.0,
        ),
        global_size=64,
        jitter_prob=0.5,
        local_crops=2,
        local_scale=(
            0.1,
            0.4,
        ),
        local_size=32,
        solarize_prob=0.0,
        type='MultiCrop'),
    dict(
        patch_size=16,
        pred_ratio=(
            0.0,
            0.3,
        ),
        pred_ratio_var=(
            0.0,
            0.2,
        ),
        type='PredictionMasks'),
    dict(type='PackViews'),
]
