"""Distributed training without a GPU."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel
from mmengine.model.utils import _BatchNormXd, revert_sync_batchnorm
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
        module = revert_sync_batchnorm(module)
        count = sum(isinstance(layer, _BatchNormXd) for layer in module.modules())
        if count:
            text = f'No GPU: {count} SyncBN layers become BN, with the statistics of the images of each process.'
            print_log(text, logger='current', level=logging.WARNING)
        super().__init__(module, **{**kwargs, 'device_ids': None})
