"""Statistics of prediction masks. Both sides draw their own random numbers."""

from __future__ import annotations

from mim_plugin.testing.golden.block_masks import block_mask_statistics, observation_rules
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.masks import draw_masks, mask_statistics

__all__ = ['masks_beit', 'masks_ibot']


def masks_beit(case: Case) -> Answers:
    """Draw BEiT's masks as the data pipeline does, and single blocks, and average over them."""
    statistics = block_mask_statistics(case.settings)
    return Answers(statistics, observation_rules(case, statistics))


def masks_ibot(case: Case) -> Answers:
    """Draw masks as the data pipeline does and average over them."""
    settings = case.settings
    masks, ratios = draw_masks(settings, settings['n_implementation'])
    # The stored extremes are observations; what must hold is that no mask exceeds its budget.
    within = bool((masks.sum((1, 2)) <= ratios * masks[0].size).all())
    statistics = mask_statistics(masks, ratios, settings.get('n_for_components_implementation'))
    return Answers(statistics, {'max_count': lambda _: within, 'min_count': lambda _: within})
