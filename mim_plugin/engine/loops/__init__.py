"""Loops."""

from mim_plugin.engine.loops.interruption import Interruption
from mim_plugin.engine.loops.resumable_epoch_loop import ResumableEpochLoop

__all__ = ['Interruption', 'ResumableEpochLoop']
