"""Optimizers, wrappers, parameter groups and schedules."""

from mim_plugin.engine.optim.constructor import MIMOptimWrapperConstructor, decays, pretrain_groups
from mim_plugin.engine.optim.epoch_cosine import EpochCosineLR, epoch_cosine_value
from mim_plugin.engine.optim.lars import LARS
from mim_plugin.engine.optim.layer_decay import LayerDecayOptimWrapperConstructor, LayerDepths, layer_decay_groups
from mim_plugin.engine.optim.param_schedulers import WarmupCosineLR, WarmupCosineParamScheduler
from mim_plugin.engine.optim.schedules import cosine_schedule, cosine_value, temperature_schedule
from mim_plugin.engine.optim.wrappers import MIMAmpOptimWrapper, MIMOptimWrapper, clip_each_grad_

__all__ = [
    'LARS',
    'EpochCosineLR',
    'LayerDecayOptimWrapperConstructor',
    'LayerDepths',
    'MIMAmpOptimWrapper',
    'MIMOptimWrapper',
    'MIMOptimWrapperConstructor',
    'WarmupCosineLR',
    'WarmupCosineParamScheduler',
    'clip_each_grad_',
    'cosine_schedule',
    'cosine_value',
    'decays',
    'epoch_cosine_value',
    'layer_decay_groups',
    'pretrain_groups',
    'temperature_schedule',
]
