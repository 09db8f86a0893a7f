"""The checks of data sets as a user types them."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim_plugin.errors import DataError
from mim_plugin.testing.images import write_segmentation_folder

ROOT = Path(__file__).parents[2]
FOLDERS = ('--images', 'scenes/images', '--annotations', 'scenes/annotations')


@pytest.fixture
def scenes(workplace):
    write_segmentation_folder(workplace / 'scenes/images', workplace / 'scenes/annotations')
    return workplace / 'scenes'


def test_masks(call, scenes):
    mask = next((scenes / 'annotations').iterdir())
    shape = np.asarray(Image.open(mask)).shape
    Image.fromarray(np.full(shape, 201, np.uint8)).save(mask)
    done = call('dataset_converters/check_dataset.py', 'segmentation', *FOLDERS, '--classes', '200')
    assert done.returncode == 1, done.stderr
    assert 'PROBLEM: masks with a value that is neither a class (0 to 199)' in done.stdout
    assert f'scenes/annotations/{mask.name} (201)' in done.stdout
    assert 'Reading' in done.stderr


def test_sound_masks(scenes, monkeypatch, capsys):
    monkeypatch.chdir(scenes.parent)
    tool = runpy.run_path(str(ROOT / 'tools/dataset_converters/check_dataset.py'))
    tool['main'](['segmentation', *FOLDERS, '--classes', '3', '--ignore', '3', '255', '--workers', '1'])
    assert capsys.readouterr().out.endswith('No problem found.\n')
    shutil.rmtree('scenes/images')
    with pytest.raises(DataError, match='Image folder scenes/images does not exist'):
        tool['main'](['segmentation', *FOLDERS, '--classes', '4'])


def test_objects(call, workplace):
    image = dict(id=1, file_name='class_0/0.jpg', width=80, height=72)
    box = dict(id=1, image_id=1, category_id=3, bbox=[70, 5, 20, 20], segmentation=[[70, 5, 90, 5, 90, 25]])
    content = dict(images=[image], annotations=[box], categories=[dict(id=3, name='cat')])
    (workplace / 'objects.json').write_text(json.dumps(content))
    done = call('dataset_converters/check_dataset.py', 'coco', '--images', 'images', '--annotations', 'objects.json')
    assert done.returncode == 1, done.stderr
    assert 'PROBLEM: boxes that reach beyond their image (1): annotation 1 of class_0/0.jpg' in done.stdout
    assert "metainfo=dict(classes=('cat',))" in done.stdout


def test_part_of_ade20k(call, workplace):
    for kind, suffix in (('images', 'jpg'), ('annotations', 'png')):
        for split, prefix in (('training', 'ADE_train'), ('validation', 'ADE_val')):
            (workplace / 'ade' / kind / split).mkdir(parents=True)
            Image.new('L', (20, 12)).save(workplace / 'ade' / kind / split / f'{prefix}_00000001.{suffix}')
    done = call('dataset_converters/ade20k.py', 'ade', '--link')
    assert done.returncode == 1, done.stderr
    assert 'images/training: 1 of 20210 files.' in done.stdout
    assert 'files missing in ade/images/validation (1999): ADE_val_00000002.jpg,' in done.stdout
    assert not (workplace / 'data').exists()


def test_folder_that_is_no_coco(call, workplace):
    done = call('dataset_converters/coco.py', 'images')
    assert done.returncode == 2
    assert done.stderr.startswith(
        'error: images holds none of train2017, val2017, annotations/instances_train2017.json'
    )
