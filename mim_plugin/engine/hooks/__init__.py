"""Hooks."""

from mim_plugin.engine.hooks.class_check import ClassCheckHook
from mim_plugin.engine.hooks.compile_blocks import CompileBlocksHook
from mim_plugin.engine.hooks.device_runtime_info import DeviceRuntimeInfoHook
from mim_plugin.engine.hooks.discrete_vae_schedule import DiscreteVAEScheduleHook
from mim_plugin.engine.hooks.effective_rank import EffectiveRankHook, effective_rank
from mim_plugin.engine.hooks.feature_guard import FeatureGuardHook
from mim_plugin.engine.hooks.freeze_last_layer import FreezeLastLayerHook
from mim_plugin.engine.hooks.frozen_feature_hook import FrozenFeatureHook
from mim_plugin.engine.hooks.head_warmup import HeadWarmupHook
from mim_plugin.engine.hooks.momentum_teacher import MomentumTeacherHook
from mim_plugin.engine.hooks.reconstruction import ReconstructionHook
from mim_plugin.engine.hooks.self_distillation_schedule import SelfDistillationScheduleHook

__all__ = [
    'ClassCheckHook',
    'CompileBlocksHook',
    'DeviceRuntimeInfoHook',
    'DiscreteVAEScheduleHook',
    'EffectiveRankHook',
    'FeatureGuardHook',
    'FreezeLastLayerHook',
    'FrozenFeatureHook',
    'HeadWarmupHook',
    'MomentumTeacherHook',
    'ReconstructionHook',
    'SelfDistillationScheduleHook',
    'effective_rank',
]
