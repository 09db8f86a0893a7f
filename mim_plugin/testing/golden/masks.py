"""Statistics of prediction masks: what random masks of two implementations can be compared by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mim_plugin.datasets.transforms.masking import PredictionMasks

__all__ = ['count_components', 'draw_masks', 'mask_statistics']

_SEED = 20240


def draw_masks(settings: Mapping[str, Any], number: int, seed: int = _SEED) -> tuple[np.ndarray, np.ndarray]:
    """Draw masks with the settings of a case of kind ``masks_ibot``.

    Args:
        settings: ``grid``, ``patch_size``, ``pred_ratio``, ``pred_ratio_var``, ``pred_shape``,
            ``pred_start_epoch``, ``epoch``, and for blocks ``aspect_ratio_range`` if it is not the usual one.
        number: Number of masks.
        seed: Seed of the draws.

    Returns:
        Masks (number, rows, columns), True = hidden, and the drawn ratios (number,).
    """
    keys = ('patch_size', 'pred_ratio', 'pred_ratio_var', 'pred_shape', 'pred_start_epoch')
    source = PredictionMasks(**{key: settings[key] for key in keys})
    if 'aspect_ratio_range' in settings:
        source.aspect_range = tuple(settings['aspect_ratio_range'])
    rng, grid = np.random.default_rng(seed), tuple(settings['grid'])
    masks, ratios = zip(*(source.draw(grid, rng, settings['epoch']) for _ in range(number)))
    return np.stack(masks), np.array(ratios, dtype=np.float64)


def mask_statistics(masks: np.ndarray, ratios: np.ndarray, components_of: int | None = None) -> dict[str, np.ndarray]:
    """Means over draws of masks.

    Args:
        masks: Bool array (number, rows, columns), True = hidden.
        ratios: Shares that were asked for, (number,).
        components_of: Number of draws, from the first, whose components are counted; None: all.

    Returns:
        Arrays of one element, but for ``cell_frequency`` (rows, columns) and ``count_cdf``
        (rows * columns + 1,): the share of draws with at most 0, 1, ... hidden cells.
    """
    number, rows, columns = masks.shape
    count = masks.sum((1, 2))
    cells = rows * columns
    means = {
        'mean_count': count,
        'count_squared': count.astype(np.float64) ** 2,
        'share_unmasked': count == 0,
        'share_count_equal_floor': count == np.floor(ratios * cells),
        'components': count_components(masks[:components_of]),
        'boundary_edges': np.diff(masks, axis=1).sum((1, 2)) + np.diff(masks, axis=2).sum((1, 2)),
        'bbox_height': _span(masks.any(2)),
        'bbox_width': _span(masks.any(1)),
        'pred_ratio': ratios,
        'pred_ratio_squared': ratios**2,
        'pred_ratio_zero': ratios == 0,
    }
    statistics = {name: np.array([np.mean(values)]) for name, values in means.items()}
    statistics['cell_frequency'] = masks.mean(0)
    statistics['count_cdf'] = np.cumsum(np.bincount(count, minlength=cells + 1)) / number
    return statistics


def count_components(masks: np.ndarray) -> np.ndarray:
    """Number of 4-connected regions of True in each mask; (number, rows, columns) -> (number,)."""
    number, rows, columns = masks.shape
    outside = rows * columns
    own = np.arange(outside, dtype=np.int16).reshape(rows, columns)
    labels = np.full((number, rows + 2, columns + 2), outside, dtype=np.int16)
    inner = labels[:, 1:-1, 1:-1]
    inner[:] = np.where(masks, own, outside)
    while True:  # every cell takes the smallest label around it, until nothing changes
        before = inner.copy()
        for neighbours in (labels[:, :-2, 1:-1], labels[:, 2:, 1:-1], labels[:, 1:-1, :-2], labels[:, 1:-1, 2:]):
            np.minimum(inner, neighbours, out=inner, where=masks)
        if np.array_equal(before, inner):
            return (masks & (inner == own)).sum((1, 2))


def _span(occupied: np.ndarray) -> np.ndarray:
    """Distance between the first and last True of each row, both included; (number, length) -> (number,)."""
    length = occupied.shape[1]
    first, last = occupied.argmax(1), length - 1 - occupied[:, ::-1].argmax(1)
    return np.where(occupied.any(1), last - first + 1, 0)
