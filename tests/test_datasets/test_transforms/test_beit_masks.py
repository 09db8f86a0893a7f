"""Golden: masks_beit, with the narrower bound that the cases give for every entry."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mim_plugin.datasets.transforms.masking import beit_block_mask
from mim_plugin.testing.golden import load_case
from mim_plugin.testing.golden.block_masks import block_mask_statistics

GOLDEN = Path(__file__).parents[2] / 'golden'


@pytest.mark.parametrize('name', ['masks_beit_14x14_75', 'masks_beit_10x14_rect'])
def test_every_entry_of_the_laws(name):
    case = load_case(GOLDEN / name)
    ours = block_mask_statistics(case.settings)
    tensors = load_file(GOLDEN / name / 'tensors.safetensors')
    bounds = {key.removeprefix('tolerances/'): value for key, value in tensors.items() if key.startswith('tolerances/')}
    assert len(bounds) == 7
    for key, bound in bounds.items():
        error = (torch.as_tensor(ours[key]) - case.outputs[key].value).abs()
        assert (error <= bound).all(), key


def test_budget_and_cap_of_a_block():
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert beit_block_mask((14, 14), 75, rng).sum() <= 75
    whole = beit_block_mask((6, 10), 60, rng, min_per_block=2, max_per_block=4)
    assert 0 < whole.sum() <= 60
    assert not beit_block_mask((6, 10), 0, rng).any()
