# What every run of this package shares: logs, checkpoints, interruption, seeds.
default_scope = 'mim_plugin'

default_hooks = dict(
    runtime_info=dict(type='DeviceRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
log_processor = dict(window_size=50)
log_level = 'INFO'

# Every process draws its own crops and masks, but all start from one seed.
randomness = dict(seed=0, diff_rank_seed=True)
load_from = None
resume = False
