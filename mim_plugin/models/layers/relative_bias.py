"""Learned attention bias that depends on where two patches lie relative to each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.models.layers.relative_resize import resize_bias_table
from mim_plugin.models.layers.tensor_cache import tensor_cache

__all__ = [
    'RelativePositionBias',
    'aligned_position_bias',
    'relative_bias_table',
    'relative_position_bias',
    'relative_position_index',
]

# Fused attention kernels want rows of the bias that start at multiples of 16 elements; without
# this they copy the bias in every layer.
_ALIGNMENT = 16

Grid = tuple[int, int]


def relative_bias_table(window: Grid, num_heads: int, num_prefix: int = 1) -> nn.Parameter:
    """Zeros ``((2h - 1) * (2w - 1) + 3, num_heads)``: one row for each offset of two patches and three for [CLS].

    Without prefix tokens (``num_prefix=0``, as in Swin) the last three rows are left out.
    """
    num_offsets = (2 * window[0] - 1) * (2 * window[1] - 1)
    return nn.Parameter(torch.zeros(num_offsets + (3 if num_prefix else 0), num_heads))


def relative_position_index(window: Grid, num_prefix: int = 1, device: torch.device | str = 'cpu') -> Tensor:
    """The row of the bias table for each query and key.

    Patches ``i`` (query) and ``j`` (key) use row ``(dy + h - 1) * (2w - 1) + dx + w - 1``, with
    ``(dy, dx)`` the position of ``i`` minus that of ``j``. The last three rows are, in this order,
    for [CLS] looking at patches, for patches looking at [CLS], and for [CLS] looking at itself. Other prefix tokens
    (registers) are treated like [CLS].

    Args:
        window: Grid ``(h, w)`` of patches.
        num_prefix: Number of tokens before the patches.
        device: Where the result lies.

    Returns:
        int64 ``(T, T)``, ``T = num_prefix + h * w``.

    Source: BEiT (arXiv 2106.08254), section 2.3 and its published code.
    """
    height, width = window
    num_offsets = (2 * height - 1) * (2 * width - 1)
    row = torch.arange(height, device=device).repeat_interleave(width)
    column = torch.arange(width, device=device).repeat(height)
    index = (row[:, None] - row[None] + height - 1) * (2 * width - 1) + column[:, None] - column[None] + width - 1
    index = F.pad(index, (num_prefix, 0, num_prefix, 0))
    index[:num_prefix] = num_offsets
    index[:, :num_prefix] = num_offsets + 1
    index[:num_prefix, :num_prefix] = num_offsets + 2
    return index


@tensor_cache
def _aligned_index(window: Grid, num_prefix: int, device: torch.device) -> Tensor:
    """The index with rows filled up to a multiple of the alignment, ``(T, T')``."""
    index = relative_position_index(window, num_prefix, device)  # that of a large grid is no matter for the host
    return F.pad(index, (0, -index.shape[1] % _ALIGNMENT))


def aligned_position_bias(table: Tensor, window: Grid, num_prefix: int = 1) -> Tensor:
    """As :func:`relative_position_bias`, with rows filled up to a length that fused kernels like, ``T' >= T``."""
    index = _aligned_index(tuple(window), num_prefix, table.device)
    return table.t().index_select(1, index.flatten()).unflatten(1, index.shape).unsqueeze(0)


def relative_position_bias(table: Tensor, window: Grid, num_prefix: int = 1) -> Tensor:
    """Look the bias of all pairs of tokens up.

    Args:
        table: ``((2h - 1) * (2w - 1) + 3, heads)``; without the last three rows if there are no prefix tokens.
        window: Grid ``(h, w)`` of patches.
        num_prefix: Number of tokens before the patches.

    Returns:
        ``(1, heads, T, T)``, to be added to the attention logits.
    """
    bias = aligned_position_bias(table, window, num_prefix)
    return bias[..., : bias.shape[-2]]


class RelativePositionBias(nn.Module):
    """One table of relative position bias that all blocks share.

    Args:
        window: Grid ``(h, w)`` of patches.
        num_heads: Attention heads.
        num_prefix: Number of tokens before the patches.
    """

    def __init__(self, window: Grid, num_heads: int, num_prefix: int = 1) -> None:
        super().__init__()
        self.window = tuple(window)
        self.num_prefix = num_prefix
        self.relative_position_bias_table = relative_bias_table(window, num_heads)

    def forward(self, grid: Grid | None = None) -> Tensor:
        """The bias ``(1, heads, T, T)`` for a grid of patches, that of the table if there is none named."""
        grid = grid or self.window
        table = resize_bias_table(self.relative_position_bias_table, self.window, grid)
        return relative_position_bias(table, grid, self.num_prefix)
