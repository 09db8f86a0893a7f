# mmpretrain's runtime; with losses read from the device only when they are logged, the best checkpoint beside the last,
# and one seed, from which every process draws its own crops.
_base_ = 'mmpretrain::_base_/default_runtime.py'

default_hooks = dict(
    runtime_info=dict(type='mim_plugin.DeviceRuntimeInfoHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='accuracy/top1', rule='greater'),
)
randomness = dict(seed=0, diff_rank_seed=True)
custom_hooks = [dict(type='mim_plugin.ClassCheckHook')]
