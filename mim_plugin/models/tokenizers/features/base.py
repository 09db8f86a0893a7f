"""What feature grids have in common."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.tokenizers.patches import patch_grid

__all__ = ['FeatureGrid', 'channel_statistics']


class FeatureGrid(nn.Module, ABC):
    """Images in, a grid of feature vectors out (base class). Frozen, always in evaluation mode.

    A subclass sets :attr:`dims` and :attr:`stride` and writes :meth:`forward` and :meth:`settings`; one with
    weights writes :meth:`load_checkpoint`, one that can draw its features :meth:`decode` and ``can_decode``.

    Args:
        checkpoint: File with the weights; None keeps the start values.

    Attributes:
        dims: Numbers C of a feature vector.
        stride: Side of a cell of the grid, in pixels.
        can_decode: Whether :meth:`decode` works.
    """

    dims: int
    stride: int
    can_decode = False

    def __init__(self, checkpoint: str | None = None) -> None:
        super().__init__()
        self.checkpoint = checkpoint

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Features ``(B, h, w, C)`` of images ``(B, 3, H, W)`` with values in [0, 1]."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What changes the features, beside the weights; codes are only valid for the same settings."""

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the grid of an image of ``(H, W)`` pixels."""
        return patch_grid(image_size, self.stride, type(self).__name__)

    def load_checkpoint(self, checkpoint: str) -> None:
        """Read the weights."""
        raise ConfigError(f'{type(self).__name__} has no weights; remove checkpoint={checkpoint!r} from features.')

    def init_weights(self) -> None:
        """Read ``checkpoint``; without one, say so if there are weights that it would fill."""
        if self.checkpoint is not None:
            if not Path(self.checkpoint).exists():
                raise CheckpointError(
                    f'{self.checkpoint} does not exist, but tokenizer.features.checkpoint names it; '
                    'put the weights there, or choose features that you have (docs/tokenizers.md).'
                )
            self.load_checkpoint(self.checkpoint)
        elif self.weights():
            print_log(
                f'{type(self).__name__} has random weights until features.checkpoint names a file.',
                logger='current',
                level=logging.WARNING,
            )

    def decode(self, features: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` with values in [0, 1] of features ``(B, h, w, C)``."""
        raise ConfigError(f'{type(self).__name__} has no decoder.')

    def weights(self) -> dict[str, Tensor]:
        """The weights that the features depend on."""
        return self.state_dict()

    def weights_digest(self) -> str:
        """A short hash of :meth:`weights`; empty when there are none."""
        weights = self.weights()
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(weights):
            digest.update(name.encode())
            digest.update(weights[name].detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest() if weights else ''

    def train(self, mode: bool = True) -> FeatureGrid:
        """Stay in evaluation mode."""
        return super().train(False)


def channel_statistics(values: Sequence[float]) -> Tensor:
    """Statistics of the channels in grey values 0 to 255, as ``(3, 1, 1)`` for images in [0, 1]."""
    return torch.tensor(values).view(-1, 1, 1) / 255
