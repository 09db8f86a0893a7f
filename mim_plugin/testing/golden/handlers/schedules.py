"""Schedules, taken from the param schedulers and hooks that a Runner uses."""

from __future__ import annotations

from typing import Any

import numpy as np

from mim_plugin.errors import ConfigError
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.training import IterationSchedules, ScheduledGroups, teacher_temperatures

__all__ = ['schedules_beit', 'schedules_ibot']


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


def schedules_beit(case: Case) -> Answers:
    """Values at every iteration, and those of two parameter groups of which one has a share of the rate."""
    outputs: dict[str, Any] = {}
    refused = []
    for i, entry in enumerate(case.settings['schedules']):
        length, warmup = entry['epochs'] * entry['iters_per_epoch'], beit_warmup(entry)
        if warmup is None:
            refused.append(str(i))
            continue
        config = {'end_value': entry['final_value'], 'warmup_start': entry['start_warmup_value'], **warmup}
        try:
            run = ScheduledGroups([{'lr': entry['base_value']}], [{'param_name': 'lr', **config}], entry)
        except ConfigError:  # the warm-up is longer than the run
            refused.append(str(i))
            continue
        outputs[f'schedule_{i}'] = np.array([run.next()[0]['lr'] for _ in range(length)])
    outputs['group_values'] = _group_values(case.settings.get('group_values', GROUP_VALUES))
    return Answers(outputs, {'refused': lambda stored: sorted(stored) == sorted(refused)})


# The numbers that the cases state in words.
GROUP_VALUES = {
    'epochs': 2,
    'iters_per_epoch': 5,
    'warmup_epochs': 1,
    'lr': (1e-3, 1e-5),
    'weight_decay': (0.05, 0.2),
    'lr_scale': 0.25,
}


def _group_values(settings: dict[str, Any]) -> np.ndarray:
    """Columns: rate and decay of a decayed group, then of one without decay that has a share of the rate."""
    (lr, last_lr), (decay, last_decay) = settings['lr'], settings['weight_decay']
    groups = [{'lr': lr, 'weight_decay': decay}, {'lr': lr * settings['lr_scale'], 'weight_decay': 0.0}]
    warmup = {'warmup_epochs': settings['warmup_epochs']}
    schedules = [
        {'param_name': 'lr', 'end_value': last_lr, **warmup},
        {'param_name': 'weight_decay', 'end_value': last_decay},
    ]
    run = ScheduledGroups(groups, schedules, settings)
    rows = (run.next() for _ in range(settings['epochs'] * settings['iters_per_epoch']))
    return np.array([[group[key] for group in row for key in ('lr', 'weight_decay')] for row in rows])


def beit_warmup(entry: dict[str, Any]) -> dict[str, Any] | None:
    """Our option for BEiT's two of the warm-up, None where they contradict each other."""
    if entry['warmup_steps'] <= 0:
        return {'warmup_epochs': entry['warmup_epochs']}
    return {'warmup_iters': entry['warmup_steps']} if entry['warmup_epochs'] > 0 else None
