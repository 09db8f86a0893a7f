"""What the Runner drives: optimizers, hooks, loops and wrappers."""

from mim_plugin.engine.cpu_wrapper import CPUDistributedDataParallel

__all__ = ['CPUDistributedDataParallel']
