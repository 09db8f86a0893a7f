import errno

import numpy as np
import pytest
from PIL import Image

from mim_plugin.datasets.transforms import LoadImagePIL, UndecodableImageError
from mim_plugin.datasets.transforms.loading import to_rgb8


def load(path, **kwargs):
    return LoadImagePIL(**kwargs)({'img_path': str(path)})['img']


def ramp(dtype, top):
    """4 x 6 pixels from 0 to ``top``."""
    return np.linspace(0, top, 24).reshape(4, 6).astype(dtype)


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGB', 'RGBA'])
def test_any_mode_becomes_rgb(tmp_path, mode):
    image = Image.fromarray(ramp(np.uint8, 255)).convert(mode)
    image.save(tmp_path / 'image.png')
    loaded = load(tmp_path / 'image.png')
    assert loaded.mode == 'RGB' and loaded.size == (6, 4)
    np.testing.assert_array_equal(np.asarray(loaded), np.asarray(image.convert('L').convert('RGB')))


def test_cmyk_is_converted(tmp_path):
    Image.new('CMYK', (8, 8), (0, 0, 0, 255)).save(tmp_path / 'black.jpg')
    assert np.asarray(load(tmp_path / 'black.jpg')).max() < 5


def test_transparent_palettes_give_their_colours_without_a_warning(tmp_path, recwarn):
    image = Image.new('P', (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(tmp_path / 'image.png', transparency=bytes([255, 0]))
    assert load(tmp_path / 'image.png').getpixel((2, 2)) == (10, 200, 30)
    assert not list(recwarn)


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    values = ramp(np.uint16, 65535)
    Image.fromarray(values).save(tmp_path / f'image.{suffix}')
    loaded = np.asarray(load(tmp_path / f'image.{suffix}'))
    np.testing.assert_array_equal(loaded[..., 0], np.rint(values / 257))
    assert (loaded[..., 0] == loaded[..., 2]).all()


def test_white_sets_the_range_of_deep_images(tmp_path):
    Image.fromarray(ramp(np.uint16, 4095)).save(tmp_path / 'twelve_bits.png')
    assert np.asarray(load(tmp_path / 'twelve_bits.png')).max() == 16
    assert np.asarray(load(tmp_path / 'twelve_bits.png', white=4095)).max() == 255


def test_floats_are_scaled_from_one_and_clipped():
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0, np.nan]], dtype=np.float32)
    assert np.asarray(to_rgb8(Image.fromarray(values)))[0, :, 0].tolist() == [0, 0, 128, 255, 255, 0]
    integers = np.array([[0, 65535, 70000]], dtype=np.int32)
    assert np.asarray(to_rgb8(Image.fromarray(integers)))[0, :, 0].tolist() == [0, 255, 255]


# Where the pixel at (row, column) = (0, 0) of an upright image of 4 x 6 is stored, by EXIF orientation.
STORED_CORNER = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (-1, 0), 7: (-1, -1), 8: (0, -1)}


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_images_are_turned_upright(tmp_path, orientation, suffix):
    pixels = np.zeros((32, 48, 3) if orientation < 5 else (48, 32, 3), dtype=np.uint8)
    row, column = STORED_CORNER[orientation]
    pixels[slice(0, 8) if row == 0 else slice(-8, None), slice(0, 8) if column == 0 else slice(-8, None)] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'photo.{suffix}'
    Image.fromarray(pixels).save(path, exif=exif)
    upright = np.asarray(load(path))
    assert upright.shape == (32, 48, 3)
    assert upright[:8, :8].mean() > 200 and upright[8:, 8:].mean() < 20


def test_the_orientation_can_be_ignored_and_may_be_damaged(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (48, 32)).save(tmp_path / 'photo.jpg', exif=exif)
    assert load(tmp_path / 'photo.jpg', upright=False).size == (48, 32)
    Image.new('RGB', (48, 32)).save(tmp_path / 'photo.jpg', exif=b'Exif\x00\x00II*\x00\xff\xff\xff\xff')
    assert load(tmp_path / 'photo.jpg').size == (48, 32)


def test_results_hold_rows_and_columns(tmp_path):
    Image.new('RGB', (48, 32)).save(tmp_path / 'photo.jpg')
    results = LoadImagePIL()({'img_path': str(tmp_path / 'photo.jpg')})
    assert results['ori_shape'] == results['img_shape'] == (32, 48)


def test_draft_decodes_a_smaller_jpeg(tmp_path):
    Image.new('RGB', (800, 600)).save(tmp_path / 'photo.jpg')
    Image.new('RGB', (800, 600)).save(tmp_path / 'photo.png')
    assert load(tmp_path / 'photo.jpg', draft=150).size == (200, 150)
    assert load(tmp_path / 'photo.jpg', draft=151).size == (400, 300)
    assert load(tmp_path / 'photo.jpg').size == (800, 600)
    assert load(tmp_path / 'photo.png', draft=150).size == (800, 600)


def broken_files(folder):
    photo = folder / 'photo.jpg'
    Image.effect_noise((64, 64), 50).save(photo)
    content = photo.read_bytes()
    Image.effect_noise((64, 64), 50).save(folder / 'photo.png')
    return {
        'empty': b'',
        'text': b'hello',
        'truncated': content[: len(content) // 2],
        'without_end': content[:-10],
        'header': content[:100],
        'half_png': (folder / 'photo.png').read_bytes()[:2000],
    }


def test_damaged_files_are_named(tmp_path):
    for name, content in broken_files(tmp_path).items():
        path = tmp_path / f'{name}.jpg'
        path.write_bytes(content)
        with pytest.raises(UndecodableImageError, match=f'Image .*{name}.jpg cannot be decoded'):
            load(path)
    with pytest.raises(UndecodableImageError, match='missing.jpg'):
        load(tmp_path / 'missing.jpg')


def test_decompression_bombs_are_refused(tmp_path, monkeypatch):
    Image.new('1', (300, 300)).save(tmp_path / 'bomb.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(UndecodableImageError, match='exceeds limit'):
        load(tmp_path / 'bomb.png')


@pytest.mark.parametrize('error', [OSError(errno.EMFILE, 'too many open files'), MemoryError()])
def test_trouble_of_the_machine_is_not_blamed_on_the_image(monkeypatch, error):
    def fail(path):
        raise error

    monkeypatch.setattr(Image, 'open', fail)
    with pytest.raises(type(error)):
        load('photo.jpg')
