"""A quiet start for the prototypes."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.registry import HOOKS

__all__ = ['FreezeLastLayerHook']


@HOOKS.register_module()
class FreezeLastLayerHook(Hook):
    """Drops the gradients of the prototypes during the first epochs.

    The optimizer then skips them wholly: neither moments nor weight decay touch
    them. Works with ``MIMOptimWrapper`` and ``MIMAmpOptimWrapper``.

    Args:
        epochs: Number of epochs without an update of the last layer.
        name: Parameters whose name contains this text are meant.

    Source: DINO (arXiv 2104.14294), appendix; published iBOT code.
    """

    def __init__(self, epochs: int = 1, name: str = 'last_layer') -> None:
        self.epochs = epochs
        self.name = name

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the optimizer wrapper which parameters rest in this epoch."""
        frozen = []
        if runner.epoch < self.epochs:
            frozen = [
                param
                for name, param in unwrap(runner.model).named_parameters()
                if self.name in name and param.requires_grad
            ]
        runner.optim_wrapper.frozen_params = frozen
