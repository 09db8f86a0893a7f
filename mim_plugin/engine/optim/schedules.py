"""Schedules as pure functions of the step: every value can be computed from its index alone."""

from __future__ import annotations

import math

import numpy as np

from mim_plugin.errors import ConfigError

__all__ = ['cosine_schedule', 'cosine_value', 'temperature_schedule']


def cosine_value(step: int, start: float, end: float, total: int, warmup: int = 0, warmup_start: float = 0.0) -> float:
    """Value of :func:`cosine_schedule` at one step.

    Args:
        step: Index from 0; beyond the schedule the value is ``end``.
        start: Peak, reached at the last step of the warm-up and at the first after it.
        end: Value that the cosine tends to; it is not reached within the schedule.
        total: Number of steps, the warm-up included.
        warmup: Number of steps of the linear warm-up.
        warmup_start: Value at step 0 of the warm-up.

    Returns:
        The value, a Python float.
    """
    if step < warmup:
        # Both ends are values of the ramp; a ramp of one step is its start.
        return warmup_start + (start - warmup_start) * step / max(1, warmup - 1)
    if step >= total:
        return end
    return end + (start - end) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def cosine_schedule(start: float, end: float, total: int, warmup: int = 0, warmup_start: float = 0.0) -> np.ndarray:
    """Linear warm-up, then half a cosine.

    Args:
        start: Peak, reached at the last step of the warm-up and at the first after it.
        end: Value that the cosine tends to; it is not reached.
        total: Number of steps, the warm-up included.
        warmup: Number of steps of the linear warm-up, both of its ends included.
        warmup_start: Value at step 0 of the warm-up.

    Returns:
        ``(total,)`` float64.

    Raises:
        ConfigError: The warm-up is longer than the schedule.
    """
    check_warmup(warmup, total)
    return np.array([cosine_value(step, start, end, total, warmup, warmup_start) for step in range(total)])


def check_warmup(warmup: int, total: int) -> None:
    """Raise a ConfigError unless ``0 <= warmup <= total`` and there is a step at all."""
    if total < 1 or not 0 <= warmup <= total:
        raise ConfigError(
            f'A schedule of {total} steps cannot hold a warm-up of {warmup} steps; '
            'shorten warmup_epochs (or warmup_iters) or train longer.'
        )


def temperature_schedule(
    warmup_temp: float, temp: float, warmup_epochs: int, epochs: int, start_epoch: int = 0
) -> np.ndarray:
    """Temperature of the teacher for each epoch: constant, linear ramp, constant.

    Args:
        warmup_temp: Value until ``start_epoch`` and at the start of the ramp.
        temp: Value at the end of the ramp and after it.
        warmup_epochs: Length of the ramp, both ends included; 0 for none.
        epochs: Length of the run.
        start_epoch: First epoch of the ramp (``pred_start_epoch`` for patches).

    Returns:
        ``(epochs,)`` float64.

    Raises:
        ConfigError: The ramp ends after the run.
    """
    if start_epoch + warmup_epochs > epochs:
        raise ConfigError(
            f'The teacher temperature ramps until epoch {start_epoch + warmup_epochs} but the run has {epochs} epochs; '
            'lower warmup_epochs or pred_start_epoch, or train longer.'
        )
    ramp = np.linspace(warmup_temp, temp, warmup_epochs)
    rest = epochs - start_epoch - warmup_epochs
    return np.concatenate([np.full(start_epoch, float(warmup_temp)), ramp, np.full(rest, float(temp))])
