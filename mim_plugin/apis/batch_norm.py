"""Batch norm where it cannot do what a config means: on one device, or with one image."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.model.utils import _BatchNormXd
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mim_plugin.errors import ConfigError

__all__ = ['refuse_single_images', 'warn_of_lone_sync_bn']


def warn_of_lone_sync_bn(model: nn.Module) -> None:
    """Say once that SyncBN is BN where there is one process; mmengine has replaced it already."""
    if get_world_size() > 1:
        return
    count = sum(isinstance(layer, (_BatchNormXd, nn.SyncBatchNorm)) for layer in model.modules())
    if count:
        text = f'One device: {count} SyncBN layers become BN, with the statistics of the images on it.'
        print_log(text, logger='current', level=logging.WARNING)


@contextmanager
def refuse_single_images(model: nn.Module, cfg: Config) -> Iterator[None]:
    """While a model trains, stop at a batch norm that sees one image instead of a batch.

    Torch itself only refuses maps of a single pixel, as behind global pooling; larger ones it would normalise image by
    image, quite unlike what it does in evaluation. Layers that are frozen, synchronised over devices, or see
    more than the images (regions of a detector) are left alone.

    Raises:
        ConfigError: Names the layer and ``train_dataloader.batch_size``.
    """
    batch_size = (cfg.get('train_dataloader') or {}).get('batch_size')
    handles = []
    if batch_size == 1:
        synchronised = (nn.SyncBatchNorm,) if get_world_size() > 1 else ()
        for name, layer in model.named_modules():
            if isinstance(layer, _BatchNorm) and not isinstance(layer, synchronised):
                handles.append(layer.register_forward_pre_hook(_Refusal(name)))
    try:
        yield
    except ValueError as error:
        if not str(error).startswith('Expected more than 1 value per channel'):
            raise
        raise ConfigError(
            f'A batch norm got a single value for each channel: with train_dataloader.batch_size={batch_size} the last '
            'batch of an epoch holds one image; set train_dataloader.drop_last=True or another batch size.'
        ) from error
    finally:
        for handle in handles:
            handle.remove()


class _Refusal:
    """A hook that looks at the first batch of a layer only."""

    def __init__(self, name: str) -> None:
        self.name, self.looked = name, False

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self.looked or not layer.training:
            return
        self.looked = True
        if len(inputs[0]) == 1:
            raise ConfigError(
                f'{self.name} is a batch norm and got one image: train_dataloader.batch_size=1 leaves it no batch to '
                'normalise over, and accumulated gradients do not help; set train_dataloader.batch_size to 2 or more, '
                "or norm_cfg=dict(type='GN', num_groups=32) in the model."
            )
