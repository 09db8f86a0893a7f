"""Optimizer wrappers: clipping per parameter, parameters frozen for a while, mixed precision on any device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mim_plugin.errors import ConfigError
from mim_plugin.registry import OPTIM_WRAPPERS

__all__ = ['MIMAmpOptimWrapper', 'MIMOptimWrapper', 'clip_each_grad_']


@torch.no_grad()
def clip_each_grad_(grads: Sequence[Tensor], max_norm: float) -> Tensor:
    """Scale every gradient whose L2 norm exceeds ``max_norm`` by ``max_norm / (norm + 1e-6)``, in place.

    Unlike a clip of the global norm, a tensor with a huge gradient does not
    shrink the others. No value is read back from the device.

    Args:
        grads: Gradients.
        max_norm: Largest norm of one gradient.

    Returns:
        The global norm before clipping, a scalar.
    """
    norms = torch._foreach_norm(grads)
    # One stacked computation instead of several small kernels a parameter.
    stacked = torch.stack(norms)
    factors = (max_norm / (stacked + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(grads, list(factors.unbind()))
    return torch.linalg.vector_norm(stacked)


@OPTIM_WRAPPERS.register_module()
class MIMOptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper without a device synchronisation, with two more things.

    - ``clip_grad=dict(max_norm=3.0, per_parameter=True)`` clips every parameter's gradient by itself.
    - Gradients of :attr:`frozen_params` (set by a hook) become None after clipping, so that the
      optimizer skips these parameters wholly: no moment, no step count, no weight decay.

    The global gradient norm waits on the device in :attr:`grad_norm` until
    ``DeviceRuntimeInfoHook`` logs it with the losses.

    Args:
        optimizer: The optimizer.
        accumulative_counts: Iterations of one optimizer step.
        clip_grad: ``dict(max_norm, per_parameter=False, ...)``; without ``per_parameter``
            as in mmengine (``type`` 'norm' or 'value').

    Source: the published iBOT code's clipping and last-layer freeze.
    """

    def __init__(self, optimizer: Optimizer, accumulative_counts: int = 1, clip_grad: dict | None = None) -> None:
        clip_grad = dict(clip_grad) if clip_grad else None
        self.clips_each = bool(clip_grad and clip_grad.pop('per_parameter', False))
        super().__init__(optimizer, accumulative_counts, clip_grad)
        self.frozen_params: list[nn.Parameter] = []
        self.grad_norm: Tensor | None = None

    def step(self, **kwargs: Any) -> None:
        """Clip, drop the gradients of frozen parameters, update."""
        self._prepare_gradients()
        self.optimizer.step(**kwargs)

    def _prepare_gradients(self) -> None:
        if self.clip_grad_kwargs:
            self._clip_grad()
        for param in self.frozen_params:
            param.grad = None

    def _clip_grad(self) -> None:
        params = [p for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        if not params:
            return
        if self.clips_each:
            self.grad_norm = clip_each_grad_([p.grad for p in params], **self.clip_grad_kwargs)
        else:
            self.grad_norm = self.clip_func(params, **self.clip_grad_kwargs)


@OPTIM_WRAPPERS.register_module()
class MIMAmpOptimWrapper(MIMOptimWrapper):
    """:class:`MIMOptimWrapper` in mixed precision.

    Args:
        dtype: 'bfloat16' on any device, or 'float16' (with loss scaling) on an accelerator.
        loss_scale: For 'float16': 'dynamic', the fixed scale, or arguments of ``torch.amp.GradScaler``.
        **kwargs: Arguments of :class:`MIMOptimWrapper`.

    Raises:
        ConfigError: Unknown ``dtype``, or 'float16' without an accelerator.
    """

    def __init__(self, dtype: str = 'bfloat16', loss_scale: str | float | dict = 'dynamic', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dtype not in ('float16', 'bfloat16'):
            raise ConfigError(f"optim_wrapper.dtype is {dtype!r}; set it to 'bfloat16' or 'float16'.")
        self.device_type = get_device().split(':')[0]
        self.cast_dtype = getattr(torch, dtype)
        self.loss_scaler: torch.amp.GradScaler | None = None
        self.fixed_scale = float(loss_scale) if isinstance(loss_scale, (int, float)) else None
        if dtype == 'float16':
            self.loss_scaler = _build_scaler(self.device_type, loss_scale)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Forward in the lower precision; no gradient synchronisation while gradients accumulate."""
        with super().optim_context(model), torch.autocast(self.device_type, dtype=self.cast_dtype):
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Backward of the scaled loss."""
        super().backward(self.loss_scaler.scale(loss) if self.loss_scaler else loss, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """As the parent's; skipped by the scaler when a gradient overflowed."""
        if self.loss_scaler is None:
            super().step(**kwargs)
            return
        self.loss_scaler.unscale_(self.optimizer)
        self._prepare_gradients()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update(self.fixed_scale)

    def state_dict(self) -> dict:
        """State of the optimizer and, under ``loss_scaler``, of the loss scaler."""
        state = super().state_dict()
        if self.loss_scaler:
            state['loss_scaler'] = self.loss_scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Load what :meth:`state_dict` returned; a scaler's state is ignored where there is no scaler."""
        scaler_state = state_dict.pop('loss_scaler', None)
        if self.loss_scaler and scaler_state:
            self.loss_scaler.load_state_dict(scaler_state)
        super().load_state_dict(state_dict)


def _build_scaler(device_type: str, loss_scale: str | float | dict) -> torch.amp.GradScaler:
    if device_type in ('cpu', 'mps'):
        raise ConfigError(
            f"optim_wrapper.dtype='float16' needs a GPU and this run uses {device_type!r}; "
            "set dtype='bfloat16' or type='MIMOptimWrapper'."
        )
    if isinstance(loss_scale, dict):
        return torch.amp.GradScaler(device_type, **loss_scale)
    if loss_scale == 'dynamic':
        return torch.amp.GradScaler(device_type)
    return torch.amp.GradScaler(device_type, init_scale=float(loss_scale))
