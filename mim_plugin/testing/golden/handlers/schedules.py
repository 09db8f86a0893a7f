"""Schedules, taken from the param schedulers and hooks that a Runner uses."""

from __future__ import annotations

from typing import Any

import numpy as np

from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.training import IterationSchedules, teacher_temperatures

__all__ = ['schedules_ibot']


def schedules_ibot(case: Case) -> Answers:
    """Learning rate, weight decay and momentum an iteration, temperatures an epoch."""
    outputs: dict[str, Any] = {}
    ends: dict[str, list] = {}
    for i, run in enumerate(case.settings['runs']):
        schedules = IterationSchedules(run)
        rows = [schedules.next() for _ in range(run['epochs'] * run['niter_per_epoch'])]
        values = {name: np.array([row[name] for row in rows]) for name in ('lr', 'weight_decay', 'momentum')}
        values['teacher_temp'], values['teacher_patch_temp'] = teacher_temperatures(run)
        for name, value in values.items():
            outputs[f'{name}_{i}'] = value
            ends[f'{name}_{i}'] = [float(value[0]), float(value[-1]), len(value)]
    return Answers(outputs, {'last_values': ends})
