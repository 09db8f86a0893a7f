"""Which patches of two crops show the same place: formulas, and the pixels themselves."""

import numpy as np
import pytest
from PIL import Image

from mim_plugin.datasets.transforms import MatchPatches, MultiCrop, PackViews
from mim_plugin.datasets.transforms.matching import match_by_position, patch_centers
from mim_plugin.errors import ConfigError


def test_centres_of_patches():
    centers = patch_centers((10, 20, 50, 40), False, (2, 4))
    assert centers.tolist() == [[x, y] for y in (25, 35) for x in (15, 25, 35, 45)]
    assert patch_centers((10, 20, 50, 40), True, (2, 4))[:4, 0].tolist() == [45, 35, 25, 15]


def test_a_crop_matches_itself_and_its_mirror_image():
    box, grid = (3, 5, 67, 37), (2, 4)
    assert match_by_position(box, True, grid, box, True, grid).tolist() == list(range(8))
    assert match_by_position(box, False, grid, box, True, grid).tolist() == [3, 2, 1, 0, 7, 6, 5, 4]


def test_what_the_other_crop_does_not_show_has_no_partner():
    right_half = match_by_position((0, 0, 40, 40), False, (4, 4), (20, 0, 60, 40), False, (4, 4))
    assert right_half.reshape(4, 4).tolist() == [[-1, -1, 4 * row, 4 * row + 1] for row in range(4)]
    assert (match_by_position((0, 0, 9, 9), False, (3, 3), (9, 9, 18, 18), False, (3, 3)) == -1).all()


def test_partners_are_found_one_by_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        (left, top, width, height), (other_left, other_top, other_width, other_height) = rng.integers(1, 60, (2, 4))
        box = left, top, left + width, top + height
        other = other_left, other_top, other_left + other_width, other_top + other_height
        flips = rng.random(2) < 0.5
        found = match_by_position(box, flips[0], (3, 5), other, flips[1], (4, 2))
        for (x, y), partner in zip(patch_centers(box, flips[0], (3, 5)), found):
            inside = []
            for i, (cx, cy) in enumerate(patch_centers(other, flips[1], (4, 2))):
                if -other_width / 4 <= x - cx < other_width / 4 and -other_height / 8 <= y - cy < other_height / 8:
                    inside.append(i)
            assert inside == ([] if partner < 0 else [partner])


def test_matched_patches_of_real_crops_show_the_same_pixels():
    # Red grows to the right, green downwards: the colour of a pixel says where it was.
    x, y = np.meshgrid(np.arange(240), np.arange(200))
    image = Image.fromarray(np.stack([x, y, 0 * x], axis=-1).astype(np.uint8))
    plain = dict(jitter_prob=0.0, gray_prob=0.0, blur_probs=(0.0, 0.0, 0.0), solarize_prob=0.0)
    crops = MultiCrop(global_crops=3, global_size=64, global_scale=(0.2, 1.0), **plain)
    flips, matched = set(), 0
    for seed in range(20):
        results = MatchPatches(16)(crops({'img': image, 'rng': np.random.default_rng(seed)}))
        pixels = [np.array(crop, float).reshape(4, 16, 4, 16, 3) for crop in results['global_crops']]
        colors = [patches.mean((1, 3)).reshape(16, 3) for patches in pixels]
        flips |= {(a[1], b[1]) for a, b in zip(results['crop_boxes'], results['crop_boxes'][1:])}
        for i, partner in enumerate(results['matches']):
            j = (i + 1) % 3
            (left, top, right, bottom), _ = results['crop_boxes'][j]
            away = np.abs(colors[i] - colors[j][partner])[partner >= 0]
            assert (away[:, 0] <= (right - left) / 8 + 1.5).all() and (away[:, 1] <= (bottom - top) / 8 + 1.5).all()
            matched += (partner >= 0).sum()
    assert len(flips) == 4 and matched > 300
    packed = PackViews()({**results, 'local_crops': []})['inputs']
    assert [tuple(match.shape) for match in packed['match']] == [(16,)] * 3


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match='put it after MultiCrop'):
        MatchPatches()({'global_crops': [Image.new('RGB', (32, 32))]})
    crops = {'global_crops': [Image.new('RGB', (40, 40))], 'crop_boxes': [((0, 0, 1, 1), False)]}
    with pytest.raises(ConfigError, match='patch_size of MatchPatches'):
        MatchPatches(16)(crops)
