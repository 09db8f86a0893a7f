"""Losses that stay on the device until somebody reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import CheckpointHook, LoggerHook, RuntimeInfoHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner, find_latest_checkpoint
from torch import Tensor

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import NonFiniteLossError
from mim_plugin.registry import HOOKS

__all__ = ['DeviceRuntimeInfoHook']


@HOOKS.register_module()
class DeviceRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's RuntimeInfoHook without a wait for the device in every iteration.

    Figures of an iteration are copied on the device and moved to the host together,
    in one transfer, when the logger prints, before a checkpoint is saved and at the end of an epoch.
    The message hub then holds what mmengine's hook would have put there. The
    ``grad_norm`` of ``MIMOptimWrapper`` is logged the same way.

    A loss that is not finite stops the run with a NonFiniteLossError when it is
    read; weights that are not finite do when they would be saved. So a checkpoint holds
    finite weights only, and older ones are not deleted in favour of a broken one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[_Step] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Note the figures of this iteration; read all noted ones if they are needed now."""
        figures = dict(outputs or {})
        grad_norm = getattr(runner.optim_wrapper, 'grad_norm', None)
        if grad_norm is not None:
            figures['grad_norm'] = grad_norm
            runner.optim_wrapper.grad_norm = None
        self._pending.append(_Step(runner.epoch, runner.iter, figures))
        saves = _saves_after_iter(self, runner)
        if saves or self._logger_reads(runner, batch_idx) or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self.flush(runner)
        if saves:
            _check_weights(runner, unwrap(runner.model).state_dict())

    def after_train_epoch(self, runner: Runner) -> None:
        """Refuse to go on to the checkpoint of this epoch with broken weights."""
        self.flush(runner)
        if _saves_after_epoch(self, runner):
            _check_weights(runner, unwrap(runner.model).state_dict())

    def after_train(self, runner: Runner) -> None:
        """Read what is left."""
        self.flush(runner)
        super().after_train(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Complete the message hub's state, which was taken just before, and look at the weights."""
        if self._pending:
            self.flush(runner)
            checkpoint['message_hub'] = runner.message_hub.state_dict()
        _check_weights(runner, checkpoint['state_dict'])

    def flush(self, runner: Runner) -> None:
        """Move all noted figures to the message hub.

        Raises:
            NonFiniteLossError: A loss is infinite or not a number.
        """
        steps, self._pending = self._pending, []
        values = iter(_to_host([step.tensors for step in steps if step.tensors is not None]))
        for step in steps:
            for key, value in step.figures.items():
                value = next(values) if value is None else value
                runner.message_hub.update_scalar(f'train/{key}', value)
                if 'loss' in key and not math.isfinite(value):
                    raise NonFiniteLossError(
                        f'{key} became {value} at iteration {step.iter + 1} (epoch {step.epoch + 1}); '
                        f'{_way_back(runner)} with a lower lr, a longer warm-up or bfloat16 instead of float16.'
                    )

    def _logger_reads(self, runner: Runner, batch_idx: int) -> bool:
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        return any(self.every_n_inner_iters(batch_idx, hook.interval) for hook in loggers)


class _Step:
    """Figures of one iteration: tensors stacked on their device, the rest as it is.

    The stack is a copy, so a buffer that the next iteration overwrites (a CUDA graph's, a
    running mean) does no harm, and the graph of the loss is not kept.
    """

    def __init__(self, epoch: int, iteration: int, outputs: dict[str, Any]) -> None:
        self.epoch = epoch
        self.iter = iteration
        tensors = [value.detach() for value in outputs.values() if isinstance(value, Tensor)]
        for key, value in outputs.items():
            if isinstance(value, Tensor) and value.numel() != 1:
                raise ValueError(
                    f'Output {key!r} of train_step has shape {tuple(value.shape)}, a log takes one number.'
                )
        # None marks a value that comes with the transfer.
        self.figures = {k: None if isinstance(v, Tensor) else v for k, v in outputs.items()}
        self.tensors = _stack(tensors) if tensors else None


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    kinds = {(tensor.dtype, tensor.device) for tensor in tensors}
    if len(kinds) > 1:
        # float64 holds every other number type's values; figures of the host join those of the device.
        device = next((t.device for t in tensors if t.device.type != 'cpu'), tensors[0].device)
        tensors = [tensor.to(device, torch.float64, non_blocking=True) for tensor in tensors]
    return torch.stack([tensor.reshape(()) for tensor in tensors])


def _to_host(stacks: Sequence[Tensor]) -> list[float]:
    if not stacks:
        return []
    if len({stack.dtype for stack in stacks}) > 1:
        stacks = [stack.double() for stack in stacks]
    return torch.cat(list(stacks)).tolist()


def _checkpoint_hooks(runner: Runner, by_epoch: bool) -> list[CheckpointHook]:
    return [hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.by_epoch == by_epoch]


def _saves_after_iter(hook: RuntimeInfoHook, runner: Runner) -> bool:
    return any(
        hook.every_n_train_iters(runner, saver.interval, saver.save_begin)
        or (saver.save_last and hook.is_last_train_iter(runner))
        for saver in _checkpoint_hooks(runner, by_epoch=False)
    )


def _saves_after_epoch(hook: RuntimeInfoHook, runner: Runner) -> bool:
    return any(
        hook.every_n_epochs(runner, saver.interval, saver.save_begin)
        or (saver.save_last and hook.is_last_train_epoch(runner))
        for saver in _checkpoint_hooks(runner, by_epoch=True)
    )


@torch.no_grad()
def _check_weights(runner: Runner, state: dict[str, Tensor]) -> None:
    """Raise unless every floating-point tensor is finite, with one value read from the device."""
    tensors = [v for v in state.values() if isinstance(v, Tensor) and v.is_floating_point() and v.numel()]
    largest = torch._foreach_norm(tensors, float('inf'))
    if tensors and not bool(torch.stack([norm.float() for norm in largest]).isfinite().all()):
        # runner.iter counts the last iteration already at the end of an epoch, the hub's number does not.
        iteration = runner.message_hub.get_info('iter') + 1
        bad = [name for name, v in state.items() if isinstance(v, Tensor) and not v.isfinite().all()]
        raise NonFiniteLossError(
            f'{len(bad)} tensors of the model are not finite after iteration {iteration}, first {bad[0]}; nothing is '
            f'saved, {_way_back(runner)} with a lower lr, a longer warm-up or bfloat16 instead of float16.'
        )


def _way_back(runner: Runner) -> str:
    # The pointer is written after a checkpoint is complete, unlike the message hub's `last_ckpt`.
    last = find_latest_checkpoint(runner.work_dir)
    if last is None:
        return 'no checkpoint was saved before it, so start again'
    return f'the last good checkpoint is {last}, resume from it'
