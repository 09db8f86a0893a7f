"""Halving the sides of a map."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ['PatchMerging']


class PatchMerging(nn.Module):
    """Join squares of four cells to one cell of twice the width.

    The values that are joined stand channel by channel, each with its cells (top left, top right, bottom left,
    bottom right): the order of :class:`torch.nn.Unfold`, so that weights are those of mmpretrain's,
    mmdetection's and mmsegmentation's layers. Odd sides get a row or column of zeros.

    Args:
        dims: Width ``D``; what comes out is ``2 * D`` wide.
        norm_eps: Epsilon of the layer norm.

    Source: Swin transformer (arXiv 2103.14030), section 3.1.
    """

    def __init__(self, dims: int, norm_eps: float = 1e-6) -> None:
        super().__init__()
        # In the order of the published code, whose optimizer states list parameters by it.
        self.reduction = nn.Linear(4 * dims, 2 * dims, bias=False)
        self.norm = nn.LayerNorm(4 * dims, eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Merge a map ``(B, h, w, D)`` to ``(B, ceil(h / 2), ceil(w / 2), 2 * D)``."""
        bottom, right = x.shape[1] % 2, x.shape[2] % 2
        if bottom or right:
            x = F.pad(x, (0, 0, 0, right, 0, bottom))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, rows, 2, columns, 2, D)
        return self.reduction(self.norm(x.permute(0, 1, 3, 5, 2, 4).flatten(3)))
