"""The schedule by epochs that DeiT's recipe, and iBOT's transfer after it, trains with."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import OptimizerType

from mim_plugin.engine.optim.param_schedulers import WarmupCosineLR
from mim_plugin.registry import PARAM_SCHEDULERS

__all__ = ['EpochCosineLR', 'epoch_cosine_value']


def epoch_cosine_value(epoch: int, peak: float, end: float, total: int, warmup: int, warmup_start: float) -> float:
    """Learning rate of an epoch.

    It follows the schedule with a delay of one epoch (the second has the value of the first). The cosine counts from
    the first epoch on, not from the end of the warm-up: the peak is not quite reached.

    Args:
        epoch: Index from 0.
        peak: Value that the warm-up aims at.
        end: Value that the cosine tends to.
        total: Number of epochs.
        warmup: Number of epochs of the warm-up.
        warmup_start: Value of the first epochs.
    """
    done = max(0, epoch - 1)
    if done < warmup:
        return warmup_start + (peak - warmup_start) * done / warmup
    return end + (peak - end) * (1 + math.cos(math.pi * done / total)) / 2


@PARAM_SCHEDULERS.register_module()
class EpochCosineLR(WarmupCosineLR):
    """Learning rate that changes once an epoch, by :func:`epoch_cosine_value`.

    ``dict(type='mim_plugin.EpochCosineLR', eta_min=1e-5, warmup_epochs=5, warmup_start=1e-6)``, for a whole run.

    Args:
        optimizer: Optimizer or wrapper; its ``lr`` is the peak.
        eta_min: Learning rate that the cosine tends to. Not scaled with the batch size.
        warmup_epochs: Epochs of the warm-up.
        warmup_start: Learning rate of the first epochs.
        **kwargs: See :class:`WarmupCosineParamScheduler`.

    Source: scheduler of timm 0.3.2 as the published DeiT and iBOT code steps it.
    """

    def __init__(
        self,
        optimizer: OptimizerType,
        eta_min: float = 1e-5,
        warmup_epochs: int = 5,
        warmup_start: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, eta_min, warmup=warmup_epochs, warmup_start=warmup_start, **kwargs)

    def _get_value(self) -> list[float]:
        value = epoch_cosine_value(self.last_step, self.peak, self.end_value, self.end, self.warmup, self.warmup_start)
        return [value * (base / self.peak) for base in self.base_values]
