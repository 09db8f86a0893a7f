"""Loops."""

from mim_plugin.engine.loops.frozen_feature_loop import FrozenFeatureLoop
from mim_plugin.engine.loops.interruption import Interruption
from mim_plugin.engine.loops.resumable_epoch_loop import ResumableEpochLoop

__all__ = ['FrozenFeatureLoop', 'Interruption', 'ResumableEpochLoop']
