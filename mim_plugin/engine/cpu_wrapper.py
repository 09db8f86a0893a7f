"""Distributed training without a GPU."""

from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel
from mmengine.model.utils import revert_sync_batchnorm
from torch import nn

from mim_plugin.registry import MODEL_WRAPPERS

__all__ = ['CPUDistributedDataParallel']


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper for processes without a GPU, which talk over gloo.

    SyncBN works on GPUs only: it becomes ordinary batch norm, with the
    statistics of each process, also where it is a default of a module and not
    in the config.

    Args:
        module: The model.
        **kwargs: See :class:`mmengine.model.MMDistributedDataParallel`; ``device_ids`` is ignored.
    """

    def __init__(self, module: nn.Module, **kwargs: Any) -> None:
        count = sum(isinstance(layer, nn.SyncBatchNorm) for layer in module.modules())
        if count:
            print_log(f'No GPU: {count} SyncBN layers become BN with the statistics of each process.', logger='current')
        super().__init__(revert_sync_batchnorm(module), **{**kwargs, 'device_ids': None})
