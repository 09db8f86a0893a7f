"""Statistics of prediction masks. Both sides draw their own random numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from mim_plugin.datasets.transforms.masking import PredictionMasks, block_mask
from mim_plugin.testing.golden.case import Answers, Case

__all__ = ['count_components', 'mask_statistics', 'masks_ibot']

_SEED = 20211115


def masks_ibot(case: Case) -> Answers:
    """Draw masks as the data pipeline does and average over them."""
    settings = case.settings
    masks, ratios = _draw(settings)
    outputs = mask_statistics(masks, settings['n_for_components_implementation'])
    counts, budgets = masks.sum((1, 2)), ratios * masks[0].size
    outputs |= {
        'pred_ratio': ratios.mean(),
        'pred_ratio_squared': (ratios**2).mean(),
        'pred_ratio_zero': (ratios == 0).mean(),
        'share_count_equal_floor': (counts == np.floor(budgets)).mean(),
    }
    # The stored extremes are observations; what must hold is that no mask exceeds its budget.
    within = bool((counts <= budgets).all())
    return Answers(outputs, {'max_count': lambda _: within, 'min_count': lambda _: within})


def mask_statistics(masks: np.ndarray, num_for_components: int) -> dict[str, Any]:
    """Means over masks.

    Args:
        masks: bool ``(draws, rows, columns)``.
        num_for_components: So many masks are used for the number of components.

    Returns:
        Numbers by name, and ``cell_frequency`` (rows, columns) and ``count_cdf`` (cells + 1,).
    """
    counts = masks.sum((1, 2))
    rows, columns = masks.any(2), masks.any(1)
    edges = (masks[:, 1:] != masks[:, :-1]).sum((1, 2)) + (masks[:, :, 1:] != masks[:, :, :-1]).sum((1, 2))
    return {
        'mean_count': counts.mean(),
        'count_squared': (counts.astype(np.float64) ** 2).mean(),
        'share_unmasked': (counts == 0).mean(),
        'components': count_components(masks[:num_for_components]).mean(),
        'boundary_edges': edges.mean(),
        'bbox_height': _span(rows).mean(),
        'bbox_width': _span(columns).mean(),
        'cell_frequency': masks.mean(0),
        'count_cdf': (counts[:, None] <= np.arange(masks[0].size + 1)).mean(0),
    }


def count_components(masks: np.ndarray) -> np.ndarray:
    """Number of 4-connected hidden regions of each mask ``(draws, rows, columns)``.

    Every hidden cell takes the smallest number among itself and its hidden neighbours until
    nothing changes; each region then keeps one cell that has its own number.
    """
    own = np.arange(1, masks[0].size + 1).reshape(masks[0].shape)
    outside = masks[0].size + 1
    labels = np.where(masks, own, outside)
    while True:
        smallest = np.pad(labels, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
        neighbours = np.stack(
            [smallest[:, 1:-1, 1:-1], smallest[:, 2:, 1:-1], smallest[:, :-2, 1:-1], smallest[:, 1:-1, 2:],
             smallest[:, 1:-1, :-2]]
        ).min(0)  # fmt: skip
        updated = np.where(masks, neighbours, outside)
        if np.array_equal(updated, labels):
            return ((labels == own) & masks).sum((1, 2))
        labels = updated


def _span(occupied: np.ndarray) -> np.ndarray:
    """Length from the first to the last True of each row, 0 when there is none."""
    length = occupied.shape[1]
    last = length - occupied[:, ::-1].argmax(1)
    return np.where(occupied.any(1), last - occupied.argmax(1), 0)


def _draw(settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Masks and the ratios behind them, from the transform that training uses."""
    patch, (rows, columns) = settings['patch_size'], settings['grid']
    transform = PredictionMasks(
        patch_size=patch,
        pred_ratio=settings['pred_ratio'],
        pred_ratio_var=settings['pred_ratio_var'],
        pred_shape=settings['pred_shape'],
        pred_start_epoch=settings['pred_start_epoch'],
    )
    if settings['pred_shape'] == 'block' and 'aspect_ratio_range' in settings:
        transform.draw_mask = partial(block_mask, aspect_range=tuple(settings['aspect_ratio_range']))
    noted: list[float] = []
    draw_mask = transform.draw_mask

    def note_ratio(grid: tuple[int, int], ratio: float, rng: np.random.Generator) -> np.ndarray:
        noted.append(ratio)
        return draw_mask(grid, ratio, rng)

    transform.draw_mask = note_ratio
    crop = Image.new('RGB', (columns * patch, rows * patch))
    sample = {
        'global_crops': [crop] * settings['n_implementation'],
        'epoch': settings['epoch'],
        'rng': np.random.default_rng(_SEED),
    }
    return np.stack(transform(sample)['masks']), np.array(noted)
