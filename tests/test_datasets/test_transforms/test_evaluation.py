import numpy as np
import pytest
from PIL import Image

from mim_plugin.datasets.transforms import CenterCrop, PackImage, ResizeShortSide
from mim_plugin.testing.images import generate_image


@pytest.fixture
def image():
    return generate_image(np.random.default_rng(0), (50, 81))


@pytest.mark.parametrize(
    ('size', 'expected'),
    # rows, columns; the longer side is rounded down: 32 * 81 / 50 = 51.84
    [(32, (32, 51)), (50, (50, 81)), (100, (100, 162))],
)
def test_the_shorter_side_is_resized(image, size, expected):
    results = ResizeShortSide(size)({'img': image})
    assert results['img_shape'] == expected == results['img'].size[::-1]
    turned = ResizeShortSide(size)({'img': image.transpose(Image.Transpose.ROTATE_90)})
    assert turned['img_shape'] == expected[::-1]


def test_resizing_is_bicubic(image):
    expected = image.resize((51, 32), Image.Resampling.BICUBIC)
    assert ResizeShortSide(32)({'img': image})['img'].tobytes() == expected.tobytes()


def test_the_centre_is_cut(image):
    results = CenterCrop((20, 30))({'img': image})
    # (50 - 20) / 2 = 15; (81 - 30) / 2 = 25.5, rounded to the even 26
    assert results['img'].tobytes() == image.crop((26, 15, 56, 35)).tobytes()
    assert results['img_shape'] == (20, 30)


def test_small_images_are_padded_with_black(image):
    padded = np.asarray(CenterCrop((53, 60))({'img': image})['img'])
    assert padded.shape == (53, 60, 3)
    # of 3 missing rows one is added above and two below
    assert padded[0].max() == 0 and padded[-2:].max() == 0
    np.testing.assert_array_equal(padded[1:51], np.asarray(image)[:, 10:70])


def test_an_image_is_packed_with_its_label(image):
    packed = PackImage()({'img': image, 'img_path': 'a.jpg', 'sample_idx': 4, 'gt_label': 3})
    assert packed['inputs'].shape == (3, 50, 81)
    np.testing.assert_array_equal(packed['inputs'].permute(1, 2, 0).numpy(), np.asarray(image))
    sample = packed['data_samples']
    assert (sample.img_path, sample.sample_idx, int(sample.gt_label)) == ('a.jpg', 4, 3)
    assert int(PackImage()({'img': image, 'img_path': 'a.jpg'})['data_samples'].gt_label) == -1
