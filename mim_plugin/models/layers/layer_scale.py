"""A learned scale of each channel of a residual branch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ['LayerScale', 'layer_scale']


class LayerScale(nn.Module):
    """Multiply ``(..., D)`` by a learned vector.

    Args:
        dims: Channels ``D``.
        init: Start value of every channel.

    Source: Going deeper with image transformers (arXiv 2103.17239), equation 4.
    """

    def __init__(self, dims: int, init: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dims,), init))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(..., D)``."""
        return x * self.weight


def layer_scale(dims: int, init: float) -> nn.Module:
    """A :class:`LayerScale`, or nothing when ``init`` is not positive."""
    return LayerScale(dims, init) if init > 0 else nn.Identity()
