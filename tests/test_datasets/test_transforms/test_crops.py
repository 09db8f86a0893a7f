import numpy as np
import pytest
from PIL import Image

from mim_plugin.datasets.transforms import MultiCrop, RandomResizedCrop
from mim_plugin.datasets.transforms.crops import random_crop_box, resize_with_pillow, resize_with_torch
from mim_plugin.errors import ConfigError
from mim_plugin.testing.images import generate_image

RATIO = (3 / 4, 4 / 3)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def image(rng):
    return generate_image(rng, (60, 80))


def boxes(height, width, scale, rng, count=3000):
    left, top, right, bottom = np.array([random_crop_box(height, width, scale, RATIO, rng) for _ in range(count)]).T
    assert (left >= 0).all() and (top >= 0).all() and (right <= width).all() and (bottom <= height).all()
    return left, top, right - left, bottom - top


def test_boxes_follow_scale_and_ratio(rng):
    left, top, width, height = boxes(375, 500, (0.05, 0.25), rng)
    area, log_ratio = width * height / (375 * 500), np.log(width / height)
    assert 0.049 < area.min() < 0.052 and 0.248 < area.max() < 0.252
    assert area.mean() == pytest.approx(0.15, abs=0.005)
    assert np.abs(log_ratio).max() < np.log(4 / 3) + 0.02 and abs(log_ratio.mean()) < 0.02
    assert log_ratio.std() == pytest.approx(2 * np.log(4 / 3) / 12**0.5, rel=0.05)
    # the place is uniform among those where the box fits
    assert (left / (500 - width)).mean() == pytest.approx(0.5, abs=0.02)
    assert (top / (375 - height)).std() == pytest.approx(12**-0.5, rel=0.05)


def test_every_place_is_reached(rng):
    left, top, width, height = boxes(3, 3, (0.44, 0.45), rng, count=500)
    assert set(width) == set(height) == {2}
    assert set(zip(left, top)) == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(
    ('height', 'width', 'expected'),
    [
        (8, 1200, (594, 0, 605, 8)),  # wider than 4:3: the centre, 4:3
        (1200, 8, (0, 594, 8, 605)),
        (1, 1, (0, 0, 1, 1)),
    ],
)
def test_images_without_a_fitting_box_give_their_centre(height, width, expected, rng):
    assert random_crop_box(height, width, (0.9, 1.0), RATIO, rng) == expected


def test_a_crop_sees_nothing_of_its_surroundings(rng):
    pixels = np.full((40, 40, 3), 255, dtype=np.uint8)
    crop = RandomResizedCrop(64, scale=(0.3, 0.3))
    box = random_crop_box(40, 40, crop.scale, crop.ratio, np.random.default_rng(7))
    pixels[box[1] : box[3], box[0] : box[2]] = 10
    assert np.unique(np.asarray(crop(Image.fromarray(pixels), np.random.default_rng(7)))).tolist() == [10]


def test_sizes_are_rows_and_columns(image, rng):
    assert RandomResizedCrop((32, 48), scale=(0.2, 1.0))(image, rng).size == (48, 32)


def test_torchs_resize_is_within_one_grey_value(image):
    for box, size in (((3, 5, 70, 50), (32, 32)), ((0, 0, 20, 15), (48, 40)), ((10, 10, 11, 12), (16, 16))):
        cut = image.crop(box)
        exact, fast = np.asarray(resize_with_pillow(cut, size)), np.asarray(resize_with_torch(cut, size))
        assert fast.shape == exact.shape == (*size, 3)
        assert np.abs(exact.astype(int) - fast).max() <= 1


def test_multi_crop_gives_all_crops_of_one_image(image, rng):
    crops = MultiCrop(global_crops=3, global_size=32, local_crops=4, local_size=(16, 24), resize='torch')
    results = crops({'img': image, 'rng': rng})
    assert [crop.size for crop in results['global_crops']] == [(32, 32)] * 3
    assert [crop.size for crop in results['local_crops']] == [(24, 16)] * 4
    assert 'img' not in results
    assert len({crop.tobytes() for crop in results['global_crops']}) == 3


def test_the_tokenizer_sees_the_finished_crop_smaller(image, rng):
    results = MultiCrop(global_size=64, target_size=(16, 32))({'img': image, 'rng': rng})
    assert [crop.size for crop in results['target_crops']] == [(32, 16)] * 2
    for crop, target in zip(results['global_crops'], results['target_crops']):
        assert np.array_equal(crop.resize((32, 16), Image.Resampling.LANCZOS), target)
    assert 'target_crops' not in MultiCrop(global_size=64)({'img': image, 'rng': rng})


def test_a_second_view_changes_no_random_number(image):
    crops = [
        MultiCrop(local_crops=1, target_size=size)({'img': image, 'rng': np.random.default_rng(3)})
        for size in (None, 32)
    ]
    for key in ('global_crops', 'local_crops'):
        assert all(np.array_equal(a, b) for a, b in zip(crops[0][key], crops[1][key]))


def test_defaults_are_the_published_ones():
    crops = MultiCrop(local_crops=10)
    first, second = crops.global_augmentations
    local = crops.local_augmentation
    assert [x.blur_prob for x in (first, second, local)] == [1.0, 0.1, 0.5]
    assert [x.solarize_prob for x in (first, second, local)] == [0.0, 0.2, 0.0]
    for augmentation in (first, second, local):
        assert (augmentation.flip_prob, augmentation.jitter_prob, augmentation.gray_prob) == (0.5, 0.8, 0.2)
        assert augmentation.blur_radius == (0.1, 2.0)
    assert second.solarize_threshold == 128
    assert (crops.global_crop.size, crops.global_crop.scale) == ((224, 224), (0.14, 1.0))
    assert (crops.local_crop.size, crops.local_crop.scale) == ((96, 96), (0.05, 0.4))


def test_grey_images_stay_as_they_are_without_colour(rng):
    grey = generate_image(rng).convert('L').convert('RGB')
    for crop in MultiCrop(global_size=32, color=False)({'img': grey, 'rng': rng})['global_crops']:
        pixels = np.asarray(crop)
        assert (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
    without = MultiCrop(global_size=32, jitter_prob=0, gray_prob=0, blur_probs=(0, 0, 0), solarize_prob=0, flip_prob=0)
    crop = without({'img': Image.new('RGB', (50, 50), (200, 10, 20)), 'rng': rng})['global_crops'][1]
    assert crop.getcolors() == [(32 * 32, (200, 10, 20))]


def test_without_a_given_generator_crops_still_differ(image):
    crops = MultiCrop(global_size=32)({'img': image})['global_crops']
    assert crops[0].tobytes() != crops[1].tobytes()


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(global_crops=0), 'global_crops=0'),
        (dict(global_scale=(0.5, 0.2)), r'scale \(0.5, 0.2\) must be a range within'),
        (dict(local_scale=(0.0, 0.2)), r'scale \(0.0, 0.2\) must be a range within'),
        (dict(blur_probs=(1.0, 0.1)), r'blur_probs of MultiCrop is \(1.0, 0.1\); give three'),
        (dict(resize='opencv'), "resize is 'opencv'; choose one of pillow, torch"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        MultiCrop(**settings)
