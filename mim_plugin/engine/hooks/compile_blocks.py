"""Transformer blocks through torch.compile."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import ConfigError
from mim_plugin.models.layers import TransformerBlock
from mim_plugin.registry import HOOKS

__all__ = ['CompileBlocksHook']

# A variant for each size of crops, with and without gradients.
_VARIANTS = 6


@HOOKS.register_module()
class CompileBlocksHook(Hook):
    """Compiles every transformer block of a model before training, those of a teacher too.

    The rest stays as it is: steps with masks, centres and optimizer break a graph into pieces that compile for
    minutes and gain little, while the blocks are where the time goes. Names in checkpoints do not change. The first
    steps take long, for blocks differ in their drop path: torch compiles one variant for each, and for each crop size.
    ``compile='blocks'`` in a config, or ``--cfg-options compile=blocks``, adds this hook.

    Args:
        **options: Arguments of ``torch.compile``, such as ``mode='max-autotune'``.

    Raises:
        ConfigError: The model has no transformer block of this package.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def before_train(self, runner: Runner) -> None:
        """Compile; what is compiled is decided when a block is called."""
        model = unwrap(runner.model)
        blocks = [module for module in model.modules() if isinstance(module, TransformerBlock)]
        if not blocks:
            raise ConfigError(
                f"compile='blocks' finds no transformer block in {type(model).__name__}; leave it out, or use "
                'compile=True, which compiles the whole step.'
            )
        # Beyond its limit torch would go on without compiling.
        config = torch._dynamo.config
        config.recompile_limit = max(config.recompile_limit, _VARIANTS * len(blocks))
        for block in blocks:
            block.compile(**self.options)
        runner.logger.info(f'{len(blocks)} transformer blocks are compiled in the first steps, which take longer.')
