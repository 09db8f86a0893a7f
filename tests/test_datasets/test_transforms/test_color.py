import colorsys

import numpy as np
import pytest
from PIL import Image

from mim_plugin.datasets.transforms import ColorJitter, ViewAugmentation
from mim_plugin.datasets.transforms.color import adjust_hue, to_gray
from mim_plugin.errors import ConfigError
from mim_plugin.testing.images import generate_image


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def image(rng):
    return generate_image(rng, (40, 48))


class Draws:
    """Stands in for a generator: returns given numbers in order."""

    def __init__(self, numbers=(), order=()):
        self.numbers, self.order, self.ranges = list(numbers), list(order), []

    def random(self):
        return self.numbers.pop(0)

    def uniform(self, low, high):
        self.ranges.append((low, high))
        return self.numbers.pop(0)

    def permutation(self, n):
        assert n == len(self.order)
        return self.order


def array(image):
    return np.asarray(image).astype(float)


def luma(pixels):
    return np.rint(pixels @ [0.299, 0.587, 0.114])


def blend(first, second, factor):
    return np.clip(np.trunc(first + factor * (second - first) + 1e-4), 0, 255)


def close(a, b, tolerance=1):
    assert np.abs(a - b).max() <= tolerance


def test_the_four_operations_follow_their_definitions(image):
    x = array(image)
    jitter = ColorJitter(0.4, 0.4, 0.2, 0.1)
    cases = {
        0: (1.3, blend(0, x, 1.3)),
        1: (0.7, blend(np.full_like(x, np.rint(luma(x).mean())), x, 0.7)),
        2: (1.15, blend(luma(x)[..., None], x, 1.15)),
    }
    for operation, (factor, expected) in cases.items():
        jitter._operations, operations = [jitter._operations[operation]], jitter._operations
        close(array(jitter(image, Draws([factor], [0]))), expected)
        jitter._operations = operations


def test_strengths_give_ranges_and_the_order_is_drawn(image):
    jitter = ColorJitter(0.4, 1.5, 0.2, 0.1)
    draws = Draws([0.05, 1.1, 0.9, 1.2], order=[3, 1, 0, 2])
    result = jitter(image, draws)
    assert draws.ranges == [(-0.1, 0.1), (0.0, 2.5), (0.6, 1.4), (0.8, 1.2)]
    other = jitter(image, Draws([1.1, 0.05, 0.9, 1.2], order=[1, 3, 0, 2]))
    assert result.tobytes() != other.tobytes()


def test_strength_zero_leaves_an_operation_out(image, rng):
    assert ColorJitter(0, 0, 0, 0)(image, rng) is image
    assert len(ColorJitter(0.4, 0, 0, 0.1)._operations) == 2


def test_hue_turns_the_colour_circle(image):
    red = Image.new('RGB', (2, 2), (255, 0, 0))
    assert adjust_hue(red, 85 / 255).getpixel((0, 0)) == (0, 255, 0)
    assert adjust_hue(red, -85 / 255).getpixel((0, 0)) == (6, 0, 255)  # hue 171 of 256 is over 240 degrees
    grey = to_gray(image)
    assert adjust_hue(grey, 0.3).tobytes() == grey.tobytes()
    pixels, turned = array(image)[::8, ::8].reshape(-1, 3) / 255, array(adjust_hue(image, 0.1))[::8, ::8].reshape(-1, 3)
    expected = []
    for rgb in pixels:
        h, s, v = colorsys.rgb_to_hsv(*rgb)
        expected.append(colorsys.hsv_to_rgb((h + 25 / 256) % 1, s, v))
    close(turned, np.array(expected) * 255, tolerance=8)  # 8-bit hue and saturation


def test_gray_is_luma_in_three_channels(image):
    gray = array(to_gray(image))
    assert (gray[..., 0] == gray[..., 1]).all() and (gray[..., 0] == gray[..., 2]).all()
    close(gray[..., 0], luma(array(image)))


def test_the_steps_run_in_the_published_order(image):
    augmentation = ViewAugmentation(
        jitter=ColorJitter(0.4, 0, 0, 0), blur_prob=0.5, blur_radius=(0.1, 2.0), solarize_prob=0.2
    )
    # flip, jitter (brightness .8), grey, blur (radius 1.5), solarize
    draws = Draws([0.4, 0.7, 0.8, 0.1, 0.4, 1.5, 0.1], order=[0])
    result = augmentation(image, draws)
    assert not draws.numbers and draws.ranges == [(0.6, 1.4), (0.1, 2.0)]
    from PIL import ImageEnhance, ImageFilter, ImageOps

    expected = ImageOps.mirror(image)
    expected = to_gray(ImageEnhance.Brightness(expected).enhance(0.8))
    expected = ImageOps.solarize(expected.filter(ImageFilter.GaussianBlur(1.5)), 128)
    assert result.tobytes() == expected.tobytes()


def test_nothing_happens_above_the_probabilities(image):
    augmentation = ViewAugmentation(jitter=ColorJitter(0.4, 0.4, 0.2, 0.1), blur_prob=0.1, solarize_prob=0.2)
    draws = Draws([0.5, 0.8, 0.2, 0.1, 0.2])
    assert augmentation(image, draws) is image
    assert not draws.numbers


def test_solarisation_inverts_from_the_threshold_on():
    image = Image.new('RGB', (1, 1), (127, 128, 255))
    solarize = ViewAugmentation(flip_prob=0, gray_prob=0, solarize_prob=1)
    assert solarize(image, np.random.default_rng(0)).getpixel((0, 0)) == (127, 127, 0)


def test_wrong_strengths_are_named():
    with pytest.raises(ConfigError, match='hue=0.6 must be in'):
        ColorJitter(0.4, 0.4, 0.2, 0.6)
    with pytest.raises(ConfigError, match='must not be negative'):
        ColorJitter(-0.4, 0.4, 0.2, 0.1)
