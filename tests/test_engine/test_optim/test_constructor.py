"""Golden: param_groups_ibot_pretrain_vit."""

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mim_plugin.engine.optim import MIMOptimWrapper, pretrain_groups
from mim_plugin.errors import ConfigError
from mim_plugin.registry import OPTIM_WRAPPER_CONSTRUCTORS


class Named(nn.Module):
    """Module with parameters of given (dotted) names and shapes."""

    def __init__(self, entries):
        super().__init__()
        for name, shape, trainable in entries:
            *path, last = name.split('.')
            module = self
            for part in path:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module._modules[part]
            module.register_parameter(last, nn.Parameter(torch.zeros(shape), requires_grad=trainable))


def build(model, **cfg):
    cfg.setdefault('optimizer', dict(type='AdamW', lr=0.1, weight_decay=0.04))
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(type='mim_plugin.MIMOptimWrapperConstructor', optim_wrapper_cfg=cfg, paramwise_cfg=None)
    )
    return constructor(model)


def test_golden(golden):
    case, _ = golden('param_groups_ibot_pretrain_vit')
    model = Named(case['expected']['all_student_parameters'])
    names = {id(param): name for name, param in model.named_parameters()}
    groups = [[names[id(param)] for param in group['params']] for group in pretrain_groups(model)]
    assert groups == [case['expected']['regularized'], case['expected']['not_regularized']]


def test_frozen_parameters_are_left_out():
    model = Named([['a.weight', [2, 2], True], ['b.weight', [2, 2], False], ['a.bias', [2], True], ['g', [4, 1], True]])
    wrapper = build(model, type='MIMOptimWrapper', clip_grad=dict(max_norm=3.0, per_parameter=True))
    assert isinstance(wrapper, MIMOptimWrapper)
    decay, plain = wrapper.optimizer.param_groups
    assert [p.shape for p in decay['params']] == [(4, 1), (2, 2)] and decay['weight_decay'] == 0.04
    assert [p.shape for p in plain['params']] == [(2,)] and plain['weight_decay'] == 0
    assert decay['lr'] == plain['lr'] == 0.1


def test_options_are_refused():
    with pytest.raises(ConfigError, match='paramwise_cfg'):
        OPTIM_WRAPPER_CONSTRUCTORS.build(
            dict(
                type='MIMOptimWrapperConstructor',
                optim_wrapper_cfg=dict(optimizer=dict(type='SGD', lr=1)),
                paramwise_cfg=dict(norm_decay_mult=0.0),
            )
        )


def test_our_wrapper_is_the_default_in_any_scope():
    with DefaultScope.overwrite_default_scope('mmengine'):
        wrapper = build(Named([['a.weight', [2, 2], True]]), accumulative_counts=2)
    assert isinstance(wrapper, MIMOptimWrapper) and wrapper.optimizer.param_groups[1]['params'] == []
