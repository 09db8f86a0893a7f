"""Which parameter is optimised how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

from mmengine.optim import OptimWrapper
from torch import nn

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import ConfigError
from mim_plugin.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ['MIMOptimWrapperConstructor', 'decays', 'pretrain_groups']


def decays(name: str, param: nn.Parameter, no_decay: Sequence[str] = ()) -> bool:
    """Whether a parameter gets weight decay: not a bias, not of one dimension, not named in ``no_decay``.

    Args:
        name: Full name of the parameter.
        param: The parameter.
        no_decay: Last parts of names, such as 'pos_embed' or 'attn.relative_position_bias_table'.
    """
    if param.ndim == 1 or name.endswith('.bias'):
        return False
    return not any(name == end or name.endswith(f'.{end}') for end in no_decay)


def pretrain_groups(model: nn.Module, no_decay: Sequence[str] = (), apart: str | None = None) -> list[dict]:
    """Parameter groups of pretraining: with weight decay first, without it second.

    Biases and tensors of one dimension are not decayed, all else is, position
    and class vectors included unless ``no_decay`` names them. Frozen parameters are left out; the order within
    a group is the model's.

    Args:
        model: The algorithm.
        no_decay: See :func:`decays`.
        apart: Regular expression; parameters whose name begins with it come last in two groups of their own.

    Returns:
        Two groups, the second with ``weight_decay=0``; two more, marked ``apart=True``, for ``apart``.

    Raises:
        ConfigError: No parameter matches ``apart``.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {key: [] for key in product((False, True), (True, False))}
    for name, param in model.named_parameters():
        if param.requires_grad:
            is_apart = apart is not None and re.match(apart, name) is not None
            groups[is_apart, decays(name, param, no_decay)].append(param)
    pairs = [_pair(*(groups[is_apart, decayed] for decayed in (True, False))) for is_apart in (False, True)]
    if apart is None:
        return pairs[0]
    if not any(group['params'] for group in pairs[1]):
        raise ConfigError(f'No parameter begins with apart={apart!r} of optim_wrapper.paramwise_cfg; correct it.')
    return pairs[0] + [{**group, 'apart': True} for group in pairs[1]]


def _pair(decayed: list[nn.Parameter], others: list[nn.Parameter]) -> list[dict]:
    return [{'params': decayed}, {'params': others, 'weight_decay': 0.0}]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MIMOptimWrapperConstructor:
    """Builds optimizer and wrapper with the parameter groups of pretraining.

    ``optim_wrapper=dict(type='MIMOptimWrapper', constructor='MIMOptimWrapperConstructor', optimizer=dict(...))``

    Args:
        optim_wrapper_cfg: Config of the wrapper with its ``optimizer``.
        paramwise_cfg: Options by name: ``no_decay``, more parameters without weight decay, see :func:`decays`;
            ``('pos_embed', 'cls_token')`` for BEiT, none for iBOT and DINO; ``apart``, parameters that a hook
            such as ``HeadWarmupHook`` steers by themselves, see :func:`pretrain_groups`.

    Raises:
        ConfigError: ``paramwise_cfg`` has an unknown option.

    Source: parameter groups of the published iBOT, DINO and BEiT code.
    """

    options: dict = {'no_decay': (), 'apart': None}

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        paramwise_cfg = dict(paramwise_cfg or {})
        if unknown := sorted(paramwise_cfg.keys() - self.options.keys()):
            raise ConfigError(
                f'{type(self).__name__} knows the options {sorted(self.options)}, not {unknown}; remove these from '
                "optim_wrapper.paramwise_cfg or use constructor='DefaultOptimWrapperConstructor'."
            )
        self.paramwise = {**self.options, **paramwise_cfg}
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))

    def groups(self, model: nn.Module) -> list[dict]:
        """Parameter groups of a bare model."""
        return pretrain_groups(model, **self.paramwise)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build for a model, which may be wrapped for distributed training."""
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': self.groups(unwrap(model))})
        return OPTIM_WRAPPERS.build({'type': 'mim_plugin.MIMOptimWrapper', **self.wrapper_cfg, 'optimizer': optimizer})
