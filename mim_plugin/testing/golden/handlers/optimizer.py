"""Optimizer and parameter groups."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mim_plugin.checkpoints.formats.ibot import official_name
from mim_plugin.engine.optim import pretrain_groups
from mim_plugin.registry import OPTIMIZERS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.ibot_step import build_ibot
from mim_plugin.testing.golden.handlers.layer_decay import ibot_layer_groups
from mim_plugin.testing.golden.handlers.named import NamedModel
from mim_plugin.testing.golden.handlers.unknown import UnknownCase

__all__ = ['ibot_lars', 'param_groups_ibot']

Named = dict[str, nn.Parameter]


def ibot_lars(case: Case) -> Answers:
    """Parameters after some steps of LARS."""
    settings = case.settings
    names = [name.removeprefix('grad_0_') for name in case.inputs if name.startswith('grad_0_')]
    params = {name: nn.Parameter(case.weights['parameters'][name].clone()) for name in names}
    groups = pretrain_groups(NamedModel(params))
    optimizer = OPTIMIZERS.build(
        {'type': 'LARS', 'params': groups, 'lr': 0.0, 'momentum': settings['momentum'], 'eta': settings['eta']}
    )
    for step in range(settings['n_steps']):
        for group in optimizer.param_groups:
            group['lr'] = settings['lr'][step]
        optimizer.param_groups[0]['weight_decay'] = settings['weight_decay'][step]
        for name, p in params.items():
            skipped = name in settings['no_gradient'][step]
            p.grad = None if skipped else case.inputs[f'grad_{step}_{name}'].clone()
        optimizer.step()
    facts = dict(zip(('group0', 'group1'), _names_of_groups(groups, params)))
    return Answers({f'after/{name}': p for name, p in params.items()}, facts)


def param_groups_ibot(case: Case) -> Answers:
    """Which parameters are decayed in pretraining, and which the teacher follows; or the groups of a later task."""
    settings = case.settings
    if settings['what'] in ('finetune', 'segmentation', 'detection'):
        return ibot_layer_groups(case)
    if settings['what'] != 'pretrain':
        raise UnknownCase(f'parameter groups for {settings["what"]!r}')
    model, student, teacher = _networks(settings)
    decay, no_decay = _names_of_groups(pretrain_groups(model), student)
    facts = {
        'regularized': decay,
        'not_regularized': no_decay,
        'all_student_parameters': [[name, _shape(name, p), p.requires_grad] for name, p in student.items()],
        'all_teacher_parameters': [[name, _shape(name, p)] for name, p in teacher.items()],
        'ema_pairs': [name for name in teacher if f'module.{name}' in student],
    }
    return Answers({'dummy': torch.zeros(1)}, facts)


def _names_of_groups(groups: list[dict], params: Named) -> list[list[str]]:
    names = {p: name for name, p in params.items()}
    return [[names[p] for p in group['params']] for group in groups]


def _shape(name: str, p: nn.Parameter) -> list[int]:
    return list(p.shape)[1:] if name.endswith('masked_embed') and p.ndim == 3 else list(p.shape)


def _networks(settings: dict[str, Any]) -> tuple[nn.Module, Named, Named]:
    """The algorithm, and official names of its student's and teacher's parameters."""
    model = build_ibot(settings)
    student, teacher = {}, {}
    for name, p in model.named_parameters():
        table = teacher if name.startswith('tokenizer.') else student
        official = official_name(name.removeprefix('tokenizer.'))
        table[official if table is teacher else f'module.{official}'] = p
    return model, student, teacher
