import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from mim_plugin.datasets.transforms import PredictionMasks, PredictionRatio, block_mask, random_mask
from mim_plugin.errors import ConfigError
from mim_plugin.testing.golden.masks import count_components, draw_masks, mask_statistics

CASES = sorted((Path(__file__).parents[2] / 'golden').glob('masks_ibot_*'))
DRAWS, DRAWS_FOR_COMPONENTS = 3000, 1000


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize('folder', CASES, ids=lambda folder: folder.name)
def test_masks_have_the_published_distribution(folder):
    case = json.loads((folder / 'case.json').read_text())
    stored, settings = load_file(folder / 'tensors.safetensors'), case['settings']
    masks, ratios = draw_masks(settings, DRAWS)
    ours = mask_statistics(masks, ratios, DRAWS_FOR_COMPONENTS)
    for name, tolerance in case['outputs'].items():
        atol = tolerance['atol'] * wider(settings, components=name.endswith('components'))
        np.testing.assert_allclose(ours[name.split('/')[1]], stored[name], rtol=0, atol=atol, err_msg=name)
    assert np.all(masks.sum((1, 2)) <= ratios * masks[0].size)


def wider(settings, components):
    """Factor for the tolerance, because fewer masks are drawn here than the cases ask for."""
    suffix = '_for_components' if components else ''
    key = 'n_for_components_implementation' if components else 'n_implementation'
    draws = DRAWS_FOR_COMPONENTS if components else DRAWS
    reference = 1 / settings[f'n{suffix}' if components else 'n_reference']
    return ((reference + 1 / draws) / (reference + 1 / settings[key])) ** 0.5


def test_there_are_cases():
    assert len(CASES) == 5


def test_random_masks_hide_exactly_the_floor(rng):
    for ratio in (0, 0.299, 0.5, 1):
        masks = PredictionMasks(pred_ratio=ratio, pred_shape='rand')
        assert masks.draw((7, 9), rng)[0].sum() == random_mask((7, 9), int(ratio * 63), rng).sum() == int(ratio * 63)


def test_block_masks_never_exceed_the_budget(rng):
    for ratio in np.linspace(0, 1, 21):
        for grid in ((14, 14), (6, 6), (3, 20), (1, 1), (2, 2)):
            mask = block_mask(grid, ratio, rng)
            assert mask.shape == grid and mask.dtype == bool
            assert mask.sum() <= ratio * mask.size


def test_ratio_law(rng):
    law = PredictionRatio([0.0, 0.3], [0.0, 0.2])
    drawn = np.array([law.draw(rng) for _ in range(4000)])
    assert 0.45 < (drawn == 0).mean() < 0.55
    others = drawn[drawn > 0]
    assert others.min() >= 0.1 and others.max() <= 0.5 and abs(others.mean() - 0.3) < 0.01
    assert PredictionRatio([0.3]).draw(rng) == 0.3
    assert PredictionRatio(0.3, [0.0]).draw(rng) == 0.3
    assert PredictionRatio([0.3, 0.4], 0.1).half_widths == (0.1, 0.1)


@pytest.mark.parametrize(
    ('centers', 'widths', 'message'),
    [
        (0.1, 0.2, 'pred_ratio 0.1 with pred_ratio_var 0.2 reaches beyond'),
        ((0.0, 0.9), (0.0, 0.2), 'pred_ratio 0.9 with pred_ratio_var 0.2 reaches beyond'),
        ((0.0, 0.3, 0.5), (0.0, 0.2), '3 entries and pred_ratio_var 2'),
    ],
)
def test_impossible_ratios_are_named(centers, widths, message):
    with pytest.raises(ConfigError, match=message):
        PredictionMasks(pred_ratio=centers, pred_ratio_var=widths)


def test_one_mask_a_global_crop_and_rows_first(rng):
    crops = [Image.new('RGB', (64, 32)), Image.new('RGB', (64, 32))]
    results = PredictionMasks(patch_size=16, pred_ratio=0.5)({'global_crops': crops, 'rng': rng})
    assert [mask.shape for mask in results['masks']] == [(2, 4), (2, 4)]


@pytest.mark.parametrize(
    ('crops', 'hidden', 'local'),
    [('global', [True, True], None), ('first', [True, False], None), ('all', [True, True], [True] * 3)],
)
def test_which_crops_have_hidden_patches(crops, hidden, local, rng):
    results = {'global_crops': [Image.new('RGB', (64, 64))] * 2, 'local_crops': [Image.new('RGB', (48, 32))] * 3}
    results = PredictionMasks(patch_size=16, pred_ratio=0.5, pred_shape='rand', crops=crops)({**results, 'rng': rng})
    assert [mask.any() for mask in results['masks']] == hidden
    assert all(mask.shape == (4, 4) for mask in results['masks'])
    if local is None:
        assert 'local_masks' not in results
    else:
        assert [mask.shape for mask in results['local_masks']] == [(2, 3)] * 3
        assert [mask.any() for mask in results['local_masks']] == local


def test_nothing_is_hidden_before_the_start(rng):
    masks = PredictionMasks(pred_ratio=0.5, pred_shape='rand', pred_start_epoch=3)
    for epoch, count in ((0, 0), (2, 0), (3, 98)):
        results = masks({'global_crops': [Image.new('RGB', (224, 224))], 'rng': rng, 'epoch': epoch})
        assert results['masks'][0].sum() == count


def test_wrong_settings_are_named(rng):
    with pytest.raises(ConfigError, match="pred_shape is 'random'; choose one of block, rand"):
        PredictionMasks(pred_shape='random')
    with pytest.raises(ConfigError, match="crops of PredictionMasks is 'local'; choose one of global, first, all"):
        PredictionMasks(crops='local')
    with pytest.raises(ConfigError, match='change local_size of MultiCrop'):
        crops = {'global_crops': [Image.new('RGB', (32, 32))], 'local_crops': [Image.new('RGB', (20, 20))]}
        PredictionMasks(crops='all')({**crops, 'rng': rng})
    with pytest.raises(ConfigError, match='Crops of 30 x 32 pixels do not divide into patches of 8'):
        PredictionMasks(patch_size=8)({'global_crops': [Image.new('RGB', (32, 30))], 'rng': rng})


def test_components_are_counted():
    pictures = ['X.X.', '.X..', 'X...', 'XXXX', '....', '.X.X', 'XXX.', 'X.X.', 'XXX.']
    masks = np.array([[c == 'X' for c in row] for row in pictures]).reshape(3, 3, 4)
    assert count_components(masks).tolist() == [4, 3, 1]
    spiral = np.ones((1, 9, 9), dtype=bool)
    spiral[0, 1, :-1] = spiral[0, 1:8, 7] = spiral[0, 7, 1:8] = spiral[0, 3:8, 1] = spiral[0, 3, 1:6] = False
    assert count_components(spiral).tolist() == [1]
