import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim_plugin.datasets.checks import check_segmentation
from mim_plugin.errors import ConfigError, DataError


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """Four images of 20 x 12 in images/, with masks of the values 0 to 3 in masks/."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ('images/street', 'masks/street'):
        os.makedirs(folder)
    for name in ('a', 'b', 'street/c', 'street/d'):
        save(f'images/{name}.jpg', rng.integers(0, 256, (12, 20, 3)))
        save(f'masks/{name}.png', rng.integers(0, 4, (12, 20)))
    return tmp_path


def save(path, pixels, mode=None):
    Image.fromarray(np.asarray(pixels).astype(np.uint8), mode).save(path)


def check(num_classes=4, **options):
    return check_segmentation('images', 'masks', num_classes, **options)


def found(report):
    return {finding.what.split(' (')[0].split(' with a value')[0]: finding for finding in report.findings}


def test_sound_data_set_has_no_finding(pairs):
    report = check()
    assert report.findings == []
    assert report.counts == ['4 masks read, 4 values, 100.0 % of the pixels in a class.']
    assert str(report).endswith('No problem found.')


def test_processes_find_the_same_as_one(pairs, monkeypatch):
    monkeypatch.setattr('mim_plugin.datasets.checks.reading._FEW', 0)
    assert check(3, workers=2) == check(3, workers=1)


def test_value_that_is_no_class_is_named_with_its_file(pairs):
    save('masks/street/c.png', np.full((12, 20), 7))
    report = check()
    finding = found(report)['masks']
    assert finding.names == ['masks/street/c.png (7)']
    assert finding.what.endswith(', 7 in 1 mask') and '(0 to 3) nor ignored (255)' in finding.what
    assert 'IgnoreOtherLabels' in finding.remedy and 'num_classes=4' in finding.remedy
    assert report.problems == [finding]
    assert check(ignore=(7, 255)).problems == []


def test_zero_is_ignored_and_the_highest_value_a_class_where_labels_are_reduced(pairs):
    report = check(3, reduce_zero_label=True)
    assert report.problems == []
    assert float(report.counts[0].split(' values, ')[1].split(' %')[0]) < 100
    assert found(check(2, reduce_zero_label=True))['masks'].remedy.startswith('raise num_classes (now 2)')


def test_image_without_mask_and_mask_without_image(pairs):
    os.remove('masks/b.png')
    save('masks/extra.png', np.zeros((12, 20)))
    report = check()
    assert report.problems[0].names == ['b.jpg']
    assert 'add the mask or remove the image' in str(report)
    assert found(report)['masks without an image'].names == ['extra.png']
    assert found(report)['masks without an image'].is_note


def test_other_size_names_both_files_and_sizes(pairs):
    save('masks/a.png', np.zeros((20, 12)))
    finding = found(check())['masks of another size than their image']
    assert finding.names == ['images/a.jpg (20 x 12) with masks/a.png (12 x 20)']


def test_image_that_lies_on_its_side_has_the_size_that_is_seen(pairs):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (12, 20)).save('images/a.jpg', exif=exif)
    assert check().problems == []


def test_damaged_files_are_named_with_the_reason(pairs):
    Path('images/a.jpg').write_bytes(Path('images/a.jpg').read_bytes()[:-20])
    Path('images/b.jpg').write_bytes(b'no picture')
    Path('masks/street/d.png').write_bytes(b'')
    os.remove('masks/street/c.png')
    os.symlink('nowhere.png', 'masks/street/c.png')
    damaged = found(check())['unreadable files'].names
    assert [name.split(' (')[0] for name in damaged] == [
        'images/a.jpg',
        'images/b.jpg',
        'masks/street/c.png',
        'masks/street/d.png',
    ]
    assert 'truncated' in damaged[0] and 'not an image' in damaged[1]
    assert 'link to nothing' in damaged[2] and 'empty file' in damaged[3]


def test_mask_with_colours_is_refused_and_palette_read_as_indices(pairs):
    save('masks/a.png', np.zeros((12, 20, 3)))
    palette = Image.fromarray(np.full((12, 20), 3, np.uint8)).convert('P')
    palette.putpalette([200, 100, 50] * 4)
    palette.putdata([3] * 240)
    palette.save('masks/b.png')
    report = check()
    assert found(report)['masks with colours'].names == ['masks/a.png (3 channels)']
    assert len(report.problems) == 1


def test_sixteen_bit_mask_is_counted(pairs):
    Image.fromarray(np.full((12, 20), 300, np.uint16)).save('masks/a.png')
    assert found(check())['masks'].names == ['masks/a.png (300)']


def test_masks_without_a_class_and_absent_classes_are_notes(pairs):
    save('masks/a.png', np.full((12, 20), 255))
    report = check(6)
    assert found(report)['masks in which every pixel is ignored'].names == ['masks/a.png']
    assert found(report)['classes that are in no mask, by their value'].names == ['4', '5']
    assert report.problems == []


def test_names_of_other_data_sets(pairs):
    os.rename('images/a.jpg', 'images/a_leftImg8bit.png')
    os.rename('masks/a.png', 'masks/a_gtFine.png')
    report = check(image_suffix='_leftImg8bit.png', mask_suffix='_gtFine.png')
    assert report.counts[0].startswith('1 mask read, ')
    assert report.problems == []


def test_several_endings_of_images(pairs):
    save('images/e.png', np.zeros((12, 20, 3)))
    save('masks/e.png', np.zeros((12, 20)))
    finding = found(check())['endings of image names']
    assert finding.names == ['.jpg (4 images)', '.png (1 image)']


def test_bad_requests(pairs):
    with pytest.raises(DataError, match=r'images holds no image \*\.bmp'):
        check(image_suffix='.bmp')
    with pytest.raises(DataError, match='nowhere does not exist'):
        check_segmentation('nowhere', 'masks', 4)
    with pytest.raises(ConfigError, match='--classes 0'):
        check(0)
    with pytest.raises(ConfigError, match='leave --ignore out'):
        check(3, ignore=(7,), reduce_zero_label=True)


def test_long_lists_are_cut_in_the_text_only(pairs):
    for number in range(9):
        save(f'images/more{number}.jpg', np.zeros((12, 20, 3)))
    report = check()
    assert len(report.problems[0].names) == 9
    assert '(9): more0.jpg, more1.jpg, more2.jpg, more3.jpg, more4.jpg and 4 more;' in str(report)
