"""Statistics of BEiT's blockwise masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mim_plugin.datasets.transforms.masking import BEiTMasks, add_block
from mim_plugin.testing.golden.case import Case

__all__ = ['block_mask_statistics', 'observation_rules']

Rule = Callable[[Any], bool]
_SEED = 20241


def block_mask_statistics(settings: Mapping[str, Any], seed: int = _SEED) -> dict[str, np.ndarray]:
    """Draw masks, and as many that consist of their first block, and average over them.

    Args:
        settings: ``grid``, ``num_masked``, ``min_per_block``, ``max_per_block``, ``min_aspect``, ``max_aspect``
            and the number of draws ``candidate_draws``.
        seed: Seed of the draws.

    Returns:
        The quantities of cases of kind ``masks_beit``.
    """
    grid, number = tuple(settings['grid']), settings['candidate_draws']
    aspects = settings['min_aspect'], settings['max_aspect'] or 1 / settings['min_aspect']
    transform = BEiTMasks(
        num_masked=settings['num_masked'],
        min_per_block=settings['min_per_block'],
        max_per_block=settings['max_per_block'],
        aspect_range=aspects,
    )
    rng = np.random.default_rng(seed)
    masks = np.stack([transform.draw(grid, rng) for _ in range(number)])
    room = min(settings['num_masked'], settings['max_per_block'] or settings['num_masked'])
    first = np.zeros((number, *grid), dtype=bool)
    for mask in first:
        add_block(mask, room, settings['min_per_block'], rng, aspects)
    return _whole(masks) | _first_blocks(first)


def _whole(masks: np.ndarray) -> dict[str, np.ndarray]:
    count = masks.sum((1, 2))
    return {
        'count_probability': _distribution(count, masks[0].size + 1),
        'cell_probability': masks.mean(0),
        'mean_count': count.mean(),
        'right_neighbour_pairs': (masks[:, :, 1:] & masks[:, :, :-1]).sum((1, 2)).mean(),
        'down_neighbour_pairs': (masks[:, 1:] & masks[:, :-1]).sum((1, 2)).mean(),
    }


def _first_blocks(masks: np.ndarray) -> dict[str, np.ndarray]:
    """Laws of a rectangle, over the draws in which there is one."""
    placed = masks.any((1, 2))
    number, rows, columns = masks.shape
    rows_hit, columns_hit = masks[placed].any(2), masks[placed].any(1)
    height, width = rows_hit.sum(1), columns_hit.sum(1)
    return {
        'first_height_probability': _distribution(height, rows + 1),
        'first_width_probability': _distribution(width, columns + 1),
        'first_area_probability': _distribution(height * width, rows * columns + 1),
        'first_top_probability': _distribution(rows_hit.argmax(1), rows),
        'first_left_probability': _distribution(columns_hit.argmax(1), columns),
        'first_log_aspect_mean': np.log(height / width).mean(),
        'first_area_mean': (height * width).mean(),
        'first_fail_probability': 1 - placed.mean(),
    }


def _distribution(values: np.ndarray, length: int) -> np.ndarray:
    return np.bincount(values, minlength=length) / len(values)


def observation_rules(case: Case, statistics: Mapping[str, np.ndarray]) -> dict[str, Rule]:
    """What ours must be like for the stored facts, which are observations of random draws.

    A share may differ by 5 standard deviations of the difference of two samples. An extreme may be passed
    only by what is too rare to have been seen (25 expected draws or fewer in the reference).

    Args:
        case: Of kind ``masks_beit``.
        statistics: What :func:`block_mask_statistics` returned.
    """
    drawn = [case.settings['reference_draws'], case.settings['candidate_draws']]
    rare = 25 / drawn[0]

    def near(*shares: float) -> Rule:
        bounds = [5 * math.sqrt(p * (1 - p) * sum(1 / n for n in drawn)) + 3 / drawn[1] for p in shares]
        return lambda stored: all(
            abs(ours - theirs) <= bound for ours, theirs, bound in zip(shares, np.atleast_1d(stored), bounds)
        )

    cells, count = statistics['cell_probability'], statistics['count_probability']
    edges = {'last_row': cells[-1], 'last_column': cells[:, -1], 'first_row': cells[0]}
    rules = {f'{name}_masked_probability': near(edge.min(), edge.max()) for name, edge in edges.items()}
    laws = {name: statistics[f'first_{name}_probability'] for name in ('height', 'width', 'area')}
    rules |= {f'max_{name}_of_first': lambda top, law=law: law[top + 1 :].sum() <= rare for name, law in laws.items()}
    rows, columns = cells.shape
    return rules | {
        'min_area_of_first': lambda lowest: laws['area'][:lowest].sum() <= rare,
        'count_min': lambda lowest: count[:lowest].sum() <= rare,
        'count_max': lambda top: count[top + 1 :].sum() <= rare,
        'share_reaching_num_masked': near(count[case.settings['num_masked']]),
        'mean_count': lambda mean: abs(mean - statistics['mean_count']) <= case.outputs['mean_count'].atol,
        'centre_probability': near(cells[rows // 2, columns // 2]),
    }
