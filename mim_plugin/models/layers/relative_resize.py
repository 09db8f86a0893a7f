"""Tables of relative position bias for another grid of patches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mim_plugin.models.layers.pos_embed import no_autocast, resize_positions
from mim_plugin.models.layers.spline import spline_matrix
from mim_plugin.models.layers.tensor_cache import tensor_cache

__all__ = ['resize_bias_table', 'resize_window_table']

# Limits and end of the search for the ratio, as in BEiT's published code.
_RATIOS = (1.01, 1.5)
_TOLERANCE = 1e-6

Grid = tuple[int, int]


def resize_bias_table(table: Tensor, source: Grid, target: Grid) -> Tensor:
    """Resample a table of relative position bias for another grid; the rows of [CLS] are kept.

    Along each axis the source's offsets are put on a geometric sequence around 0 that is as long as the target's
    offsets where the limits of its ratio allow; the spline through the values there is read at whole numbers. So
    patches near each other keep their bias and far ones are stretched. Square grids follow BEiT's published code, the
    smaller ones too, for which it cuts far offsets off. On rectangles, which that code refuses, each axis follows
    the rule for itself, and an axis of the same length stays as it is.

    Args:
        table: ``((2h - 1) * (2w - 1) + 3, heads)``.
        source: Its grid ``(h, w)`` of patches.
        target: The wanted grid ``(h', w')``.

    Returns:
        ``((2h' - 1) * (2w' - 1) + 3, heads)``, of the input's type; the input itself when the grids are equal.

    Source: fine-tuning of BEiT (arXiv 2106.08254) at another resolution, published code.
    """
    if tuple(source) == tuple(target):
        return table
    sides = 2 * source[0] - 1, 2 * source[1] - 1
    offsets = table[: sides[0] * sides[1]].float().unflatten(0, sides)
    rows, columns = (_axis_matrix(s, t, table.device) for s, t in zip(source, target))
    with no_autocast(table.device):
        offsets = rows @ offsets.flatten(1)  # (2h' - 1, (2w - 1) * heads)
        offsets = columns @ offsets.unflatten(1, (sides[1], -1))  # (2h' - 1, 2w' - 1, heads)
    return torch.cat([offsets.flatten(0, 1).to(table.dtype), table[sides[0] * sides[1] :]])


def resize_window_table(table: Tensor, window: int) -> Tensor:
    """Resample a table of relative position bias for square windows of another side.

    The table is resized like a picture of the offsets, bicubic, as published Swin code does it when it loads.

    Args:
        table: ``((2s - 1) ** 2, heads)`` of windows of side ``s``.
        window: The wanted side ``s'`` in cells.

    Returns:
        ``((2s' - 1) ** 2, heads)``, of the input's type; the input itself when the sides are equal.
    """
    source, target = math.isqrt(len(table)), 2 * window - 1
    return resize_positions(table[None], (source, source), (target, target), num_prefix=0)[0]


@tensor_cache
def _axis_matrix(source: int, target: int, device: torch.device) -> Tensor:
    """Weights ``(2 target - 1, 2 source - 1)`` for the offsets along one axis."""
    offsets = torch.arange(1 - target, target, dtype=torch.float64, device='cpu')
    if source == target:
        return torch.eye(len(offsets), device=device)
    steps = _ratio(source - 1, target - 1) ** torch.arange(source - 1, dtype=torch.float64, device='cpu')
    half = steps.cumsum(0)
    points = torch.cat([-half.flip(0), half.new_zeros(1), half])
    return spline_matrix(points, offsets).float().contiguous().to(device)


def _ratio(count: int, length: int) -> float:
    """The ratio of ``count`` steps, the first of 1, that are together ``length`` long, if the limits allow it."""
    low, high = _RATIOS
    ratio = low
    while high - low > _TOLERANCE:
        ratio = (low + high) / 2
        if (1 - ratio**count) / (1 - ratio) > length:
            high = ratio
        else:
            low = ratio
    return ratio
