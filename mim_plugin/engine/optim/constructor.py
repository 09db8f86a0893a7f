"""Which parameter is optimised how."""

from __future__ import annotations

from mmengine.optim import OptimWrapper
from torch import nn

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import ConfigError
from mim_plugin.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ['MIMOptimWrapperConstructor', 'pretrain_groups']


def pretrain_groups(model: nn.Module) -> list[dict]:
    """Parameter groups of pretraining: with weight decay first, without it second.

    Biases and tensors of one dimension are not decayed, all else is, position
    and class vectors included. Frozen parameters are left out; the order within
    a group is the model's.

    Args:
        model: The algorithm.

    Returns:
        Two groups, the second with ``weight_decay=0``.
    """
    decay, no_decay = [], []
    for name, param in model.named_parameters():
        if param.requires_grad:
            (no_decay if name.endswith('.bias') or param.ndim == 1 else decay).append(param)
    return [{'params': decay}, {'params': no_decay, 'weight_decay': 0.0}]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MIMOptimWrapperConstructor:
    """Builds optimizer and wrapper with the parameter groups of pretraining.

    ``optim_wrapper=dict(type='MIMOptimWrapper', constructor='MIMOptimWrapperConstructor', optimizer=dict(...))``

    Args:
        optim_wrapper_cfg: Config of the wrapper with its ``optimizer``.
        paramwise_cfg: Must be empty: the rule has no options.

    Source: parameter groups of the published iBOT (and DINO) code.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise ConfigError(
                'MIMOptimWrapperConstructor has no options; remove paramwise_cfg from optim_wrapper '
                "or use constructor='DefaultOptimWrapperConstructor'."
            )
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop('optimizer'))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build for a model, which may be wrapped for distributed training."""
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': pretrain_groups(unwrap(model))})
        return OPTIM_WRAPPERS.build({'type': 'mim_plugin.MIMOptimWrapper', **self.wrapper_cfg, 'optimizer': optimizer})
