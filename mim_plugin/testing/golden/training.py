"""A training run without Runner, loader and files.

The optimizer wrapper, schedulers and hooks are those of a Runner, called in the same order.
"""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import mmengine.hooks
import mmengine.optim  # noqa: F401  (registers torch's optimizers)
import torch
from torch import Tensor, nn

from mim_plugin.engine.hooks import FreezeLastLayerHook, MomentumTeacherHook, SelfDistillationScheduleHook
from mim_plugin.engine.optim import MIMOptimWrapper, MIMOptimWrapperConstructor
from mim_plugin.registry import PARAM_SCHEDULERS
from mim_plugin.testing.golden.handlers.unknown import UnknownCase

__all__ = ['IterationSchedules', 'RecordingOptimWrapper', 'ScheduledGroups', 'TrainingRun', 'teacher_temperatures']


class RecordingOptimWrapper(MIMOptimWrapper):
    """Keeps the gradients of every step before and after clipping, by parameter."""

    def _prepare_gradients(self) -> None:
        self.raw = self.clipped = self._copy()
        super()._prepare_gradients()
        self.used = set(self._copy())

    def _clip_grad(self) -> None:
        super()._clip_grad()
        self.clipped = self._copy()

    def _copy(self) -> dict[nn.Parameter, Tensor]:
        params = [p for group in self.optimizer.param_groups for p in group['params']]
        return {p: p.grad.clone() for p in params if p.grad is not None}


class TrainingRun(SimpleNamespace):
    """What the hooks and schedulers of a Runner see, at any iteration of a run of known length.

    Args:
        model: An algorithm.
        settings: Fields of a golden case: optimizer, schedules, clipping, freeze.
        epoch: Epoch to begin with.
    """

    def __init__(self, model: nn.Module, settings: dict[str, Any], epoch: int = 0) -> None:
        length = settings['niter_per_epoch']
        super().__init__(
            model=model,
            epoch=epoch,
            iter=epoch * length,
            max_epochs=settings['epochs'],
            max_iters=settings['epochs'] * length,
            logger=logging.getLogger('mmengine'),
        )
        self.optim_wrapper = _optim_wrapper(model, settings)
        self.param_schedulers = _schedulers(self.optim_wrapper, settings)
        for scheduler in self.param_schedulers:
            scheduler.seek(self.iter)
        self.hooks = [
            mmengine.hooks.ParamSchedulerHook(),
            MomentumTeacherHook(momentum=settings['momentum_teacher']),
            FreezeLastLayerHook(epochs=settings.get('freeze_last_layer', 0)),
        ]
        if 'teacher_temp' in settings:
            self.hooks.append(_temperature_hook(settings))
        self.call('before_train')
        self.call('before_train_epoch')

    def call(self, moment: str, **kwargs: Any) -> None:
        """Call every hook."""
        for hook in self.hooks:
            getattr(hook, moment)(self, **kwargs)

    def train_iter(self, data: dict) -> dict[str, Tensor]:
        """One iteration, as the train loop does it."""
        logged = self.model.train_step(data, self.optim_wrapper)
        self.finish_iter(data, logged)
        return logged

    def finish_iter(self, data: dict | None = None, outputs: dict | None = None) -> None:
        """What follows an iteration."""
        self.call('after_train_iter', batch_idx=self.iter, data_batch=data, outputs=outputs)
        self.iter += 1

    @property
    def groups(self) -> list[dict]:
        """Parameter groups: with weight decay, without."""
        return self.optim_wrapper.optimizer.param_groups


class IterationSchedules:
    """Learning rate, weight decay and teacher momentum of a run, read where training uses them.

    Args:
        settings: As for :class:`TrainingRun`, without a model.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.model = _Probe()
        self.run = TrainingRun(self.model, {'optimizer': 'adamw', 'clip_grad': 0, **settings})

    def next(self) -> dict[str, float]:
        """Values of the next iteration."""
        decayed = self.run.groups[0]
        row = {'lr': decayed['lr'], 'weight_decay': decayed['weight_decay']}
        self.model.weight.grad = torch.zeros_like(self.model.weight)
        self.run.optim_wrapper.step()  # so that the schedulers find an optimizer that has moved
        self.run.finish_iter()
        return row | {'momentum': self.model.momentum}


class ScheduledGroups:
    """Parameter groups under schedules, without a model.

    Args:
        groups: Settings of each group: ``lr``, ``weight_decay``.
        schedules: Configs of ``WarmupCosineParamScheduler``.
        run: ``epochs`` and ``iters_per_epoch``.
    """

    def __init__(self, groups: list[dict], schedules: list[dict], run: dict[str, Any]) -> None:
        params = [{'params': [nn.Parameter(torch.zeros(1))], **group} for group in groups]
        self.optimizer = torch.optim.AdamW(params)
        common = {'type': 'WarmupCosineParamScheduler', 'convert_to_iter_based': True, 'epochs': run['epochs']}
        defaults = {'optimizer': self.optimizer, 'epoch_length': run['iters_per_epoch']}
        self.schedulers = [PARAM_SCHEDULERS.build({**common, **entry}, default_args=defaults) for entry in schedules]

    def next(self) -> list[dict[str, float]]:
        """Values of every group at the next iteration."""
        values = [{key: group[key] for key in ('lr', 'weight_decay')} for group in self.optimizer.param_groups]
        self.optimizer.step()  # so that the schedulers find an optimizer that has moved
        for scheduler in self.schedulers:
            scheduler.step()
        return values


def teacher_temperatures(settings: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Both teacher temperatures of every epoch, as the hook sets them."""
    hook, model = _temperature_hook(settings), _Probe()
    run = SimpleNamespace(model=model, max_epochs=settings['epochs'], logger=logging.getLogger('mmengine'))
    hook.before_train(run)
    temperatures: tuple[list[float], list[float]] = ([], [])
    for run.epoch in range(settings['epochs']):
        hook.before_train_epoch(run)
        temperatures[0].append(model.loss_module.teacher_temp)
        temperatures[1].append(model.loss_module.teacher_patch_temp)
    return temperatures


class _Probe(nn.Module):
    """Stands for an algorithm and notes what hooks tell it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))
        self.bias = nn.Parameter(torch.zeros(1))
        self.loss_module = SimpleNamespace()
        self.momentum = 0.0

    def update_teacher(self, momentum: float) -> None:
        self.momentum = momentum


def _optimizer_config(settings: dict[str, Any]) -> dict[str, Any]:
    name = settings.get('optimizer', 'adamw')
    config = {'lr': settings['base_lr'] * settings['total_batch_size'] / 256, 'weight_decay': settings['weight_decay']}
    if name == 'adamw':
        betas, eps = settings.get('adamw_betas', (0.9, 0.999)), settings.get('adamw_eps', 1e-8)
        return {'type': 'AdamW', 'betas': tuple(betas), 'eps': eps, **config}
    if name == 'sgd':
        return {'type': 'SGD', 'momentum': settings.get('momentum', 0.9), **config}
    if name == 'lars':
        return {'type': 'LARS', 'momentum': settings.get('momentum', 0.9), 'eta': settings.get('eta', 0.001), **config}
    raise UnknownCase(f'optimizer {name!r}')


def _optim_wrapper(model: nn.Module, settings: dict[str, Any]) -> RecordingOptimWrapper:
    clip = settings.get('clip_grad')
    config = {
        'type': RecordingOptimWrapper,
        'optimizer': _optimizer_config(settings),
        'clip_grad': {'max_norm': clip, 'per_parameter': True} if clip else None,
    }
    return MIMOptimWrapperConstructor(config)(model)


def _schedulers(optim_wrapper: MIMOptimWrapper, settings: dict[str, Any]) -> list:
    decay = {'type': 'WarmupCosineParamScheduler', 'param_name': 'weight_decay'}
    configs = [
        {'type': 'WarmupCosineLR', 'eta_min': settings['min_lr'], 'warmup_epochs': settings['warmup_epochs']},
        {**decay, 'end_value': settings['weight_decay_end']},
    ]
    if settings['weight_decay'] == settings['weight_decay_end'] == 0:
        configs.pop()
    common = {'convert_to_iter_based': True, 'epochs': settings['epochs']}
    defaults = {'optimizer': optim_wrapper, 'epoch_length': settings['niter_per_epoch']}
    return [PARAM_SCHEDULERS.build({**config, **common}, default_args=defaults) for config in configs]


def _temperature_hook(settings: dict[str, Any]) -> SelfDistillationScheduleHook:
    return SelfDistillationScheduleHook(
        warmup_teacher_temp=settings['warmup_teacher_temp'],
        teacher_temp=settings['teacher_temp'],
        warmup_teacher_patch_temp=settings['warmup_teacher_patch_temp'],
        teacher_patch_temp=settings['teacher_patch_temp'],
        warmup_epochs=settings['warmup_teacher_temp_epochs'],
        pred_start_epoch=settings.get('pred_start_epoch', 0),
    )
