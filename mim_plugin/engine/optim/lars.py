"""LARS as used with iBOT and DINO."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mim_plugin.registry import OPTIMIZERS

__all__ = ['LARS']


@OPTIMIZERS.register_module()
class LARS(Optimizer):
    """Momentum SGD whose step is scaled by ``eta * |weight| / |gradient|`` in every tensor.

    Tensors of one dimension (biases, norms) have neither that scale nor weight decay. A
    tensor without gradient is skipped wholly. No value is read back from the device.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        weight_decay: Added to the gradient before the scale is computed.
        momentum: Share of the old step that stays.
        eta: Trust coefficient.

    Source: LARS (arXiv 1708.03888), in the form of the published iBOT code.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        eta: float = 0.001,
    ) -> None:
        super().__init__(params, {'lr': lr, 'weight_decay': weight_decay, 'momentum': momentum, 'eta': eta})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Update every parameter that has a gradient.

        Args:
            closure: Recomputes the loss.

        Returns:
            The closure's loss, if there is one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group['params']:
                if param.grad is not None:
                    self._step_one(param, group)
        return loss

    def _step_one(self, param: Tensor, group: dict) -> None:
        delta = param.grad
        if param.ndim > 1:
            delta = delta.add(param, alpha=group['weight_decay'])
            delta = delta * _trust_ratio(param, delta, group['eta'])
        state = self.state[param]
        if 'momentum_buffer' not in state:
            state['momentum_buffer'] = torch.zeros_like(param)
        buffer = state['momentum_buffer'].mul_(group['momentum']).add_(delta)
        param.add_(buffer, alpha=-group['lr'])


def _trust_ratio(param: Tensor, delta: Tensor, eta: float) -> Tensor:
    weight_norm, delta_norm = param.norm(), delta.norm()
    ratio = eta * weight_norm / delta_norm
    return torch.where((weight_norm > 0) & (delta_norm > 0), ratio, torch.ones_like(ratio))
