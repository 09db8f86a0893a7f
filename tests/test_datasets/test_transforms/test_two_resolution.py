"""Golden: beit_transforms. Here: that both views show the same, and what is refused."""

import math

import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image

from mim_plugin.datasets import UnlabelledImages
from mim_plugin.datasets.transforms import BEiTMasks, PackViews, TwoResolutionCrop
from mim_plugin.errors import ConfigError
from mim_plugin.testing.images import write_image_folder


def photograph():
    """Smooth in both directions, so that places can be told."""
    rows, columns = np.mgrid[0:96, 0:128]
    return Image.fromarray(np.stack([rows * 2, columns * 1.5, rows + columns], -1).clip(0, 255).astype(np.uint8))


def sample(crop, masks=None, image=None, seed=0):
    steps = [crop, masks or BEiTMasks(patch_size=8, num_masked=9, min_per_block=2), PackViews()]
    return Compose(steps)({'img': image or photograph(), 'rng': np.random.default_rng(seed)})['inputs']


def test_both_views_show_the_same_box_flip_and_colours():
    for seed in range(6):
        views = sample(TwoResolutionCrop(size=(32, 48), target_size=(16, 24), hue=0.1), seed=seed)
        large, small = views['global'][0].float(), views['target'][0].float()
        assert large.shape == (3, 32, 48) and small.shape == (3, 16, 24)
        halved = large.unflatten(1, (16, 2)).unflatten(3, (24, 2)).mean((2, 4))
        assert (halved - small)[:, 1:-1, 1:-1].abs().max() < 3
        assert views['mask'][0].shape == (4, 6) and 0 < views['mask'][0].sum() <= 9


def test_one_view_for_both():
    views = sample(TwoResolutionCrop(size=32, target_size=None))
    assert 'target' not in views and views['global'][0].shape == (3, 32, 32)


def test_colour_and_flip_can_be_switched_off():
    crop = TwoResolutionCrop(
        size=(96, 128), scale=(1, 1), ratio=(4 / 3, 4 / 3), brightness=0, contrast=0, saturation=0, flip_prob=0
    )
    assert np.array_equal(sample(crop)['global'][0].permute(1, 2, 0), np.asarray(photograph()))


def test_shares_of_hidden_patches_follow_the_grid():
    for size, cells in ((32, 16), (64, 64)):
        views = sample(TwoResolutionCrop(size=size), BEiTMasks(patch_size=8, num_masked=0.4, shape='rand'))
        assert views['mask'][0].sum() == math.floor(0.4 * cells)


def test_a_size_that_the_patches_do_not_divide_is_named(tmp_path):
    write_image_folder(tmp_path / 'images')
    dataset = UnlabelledImages(
        data_root=str(tmp_path / 'images'),
        max_broken=0.9,  # such an error is not taken for a broken image
        pipeline=[
            dict(type='LoadImagePIL'),
            dict(type='TwoResolutionCrop', size=(32, 44)),
            dict(type='BEiTMasks', patch_size=8),
        ],
    )
    with pytest.raises(ConfigError, match='32 x 44 pixels do not divide into patches of 8; change the size'):
        dataset[0]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(interpolation='nearest'), "interpolation='nearest' of TwoResolutionCrop is unknown"),
        (dict(target_interpolation='cubic'), "target_interpolation='cubic' of TwoResolutionCrop is unknown"),
        (dict(scale=(0.5, 0.1)), r'scale \(0.5, 0.1\) of TwoResolutionCrop must be a range'),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        TwoResolutionCrop(**options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(shape='ring'), "shape of BEiTMasks is 'ring'"),
        (dict(num_masked=7.5), 'num_masked=7.5 of BEiTMasks is neither'),
        (dict(num_masked=30, patch_size=8), 'num_masked=30 of BEiTMasks is more than the 16 patches'),
    ],
)
def test_bad_masks_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        sample(TwoResolutionCrop(size=32), BEiTMasks(**options))
