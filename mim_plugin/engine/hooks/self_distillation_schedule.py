"""Temperatures of the teacher."""

from __future__ import annotations

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_plugin.engine.optim.schedules import temperature_schedule
from mim_plugin.engine.unwrap import unwrap
from mim_plugin.registry import HOOKS

__all__ = ['SelfDistillationScheduleHook']


@HOOKS.register_module()
class SelfDistillationScheduleHook(Hook):
    """Sets ``loss_module.teacher_temp`` and ``.teacher_patch_temp`` at the start of every epoch.

    Both ramp linearly and stay. A ramp longer than the run is cut to the run's
    length, with a warning, so that a shortened test run needs no other config.

    Args:
        warmup_teacher_temp: [CLS] temperature at the start of the ramp.
        teacher_temp: [CLS] temperature after it.
        warmup_teacher_patch_temp: Patch temperature at the start of the ramp.
        teacher_patch_temp: Patch temperature after it.
        warmup_epochs: Length of both ramps in epochs.
        pred_start_epoch: First epoch with hidden patches; delays the patch ramp. Give the
            same number to ``PredictionMasks``, which leaves the masks empty before it.

    Source: iBOT (arXiv 2111.07832), section 3.2; published code.
    """

    def __init__(
        self,
        warmup_teacher_temp: float = 0.04,
        teacher_temp: float = 0.07,
        warmup_teacher_patch_temp: float = 0.04,
        teacher_patch_temp: float = 0.07,
        warmup_epochs: int = 30,
        pred_start_epoch: int = 0,
    ) -> None:
        self.cls_range = (warmup_teacher_temp, teacher_temp)
        self.patch_range = (warmup_teacher_patch_temp, teacher_patch_temp)
        self.warmup_epochs = warmup_epochs
        self.pred_start_epoch = pred_start_epoch
        self.tables: tuple[np.ndarray, np.ndarray] | None = None

    def before_train(self, runner: Runner) -> None:
        """Make both tables."""
        epochs = runner.max_epochs
        start = min(self.pred_start_epoch, epochs)
        ramp, patch_ramp = min(self.warmup_epochs, epochs), min(self.warmup_epochs, epochs - start)
        if start + patch_ramp < self.pred_start_epoch + self.warmup_epochs:
            runner.logger.warning(
                f'The teacher temperature should ramp until epoch {self.pred_start_epoch + self.warmup_epochs}, '
                f'but the run has {epochs} epochs: the ramp is shortened to end with the run.'
            )
        self.tables = (
            temperature_schedule(*self.cls_range, ramp, epochs),
            temperature_schedule(*self.patch_range, patch_ramp, epochs, start),
        )

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the temperatures of this epoch."""
        loss = unwrap(runner.model).loss_module
        loss.teacher_temp, loss.teacher_patch_temp = (float(table[runner.epoch]) for table in self.tables)
