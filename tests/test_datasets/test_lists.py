"""Lists of labelled images, and the command that writes them."""

import importlib.util
import json
from pathlib import Path

import pytest

from mim_plugin.datasets.lists import imagenet_subset, inaturalist
from mim_plugin.errors import DataError
from mim_plugin.testing.images import write_image_folder

ROOT = Path(__file__).parents[2]
SPECIES = {
    'images': [
        {'id': 7, 'file_name': 'train_val2018/Aves/3/b.jpg'},
        {'id': 4, 'file_name': 'train_val2018/Aves/9/a.jpg'},
    ],
    'categories': [{'id': 9}, {'id': 3}],
    'annotations': [{'image_id': 4, 'category_id': 9}, {'image_id': 7, 'category_id': 3}],
}


@pytest.fixture
def command():
    path = ROOT / 'tools/dataset_converters/classification_lists.py'
    spec = importlib.util.spec_from_file_location('classification_lists', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_inaturalist(tmp_path, command, capsys):
    (tmp_path / 'val2018.json').write_text(json.dumps(SPECIES))
    command(['inaturalist', str(tmp_path / 'val2018.json'), str(tmp_path / 'meta/val.txt')])
    assert (tmp_path / 'meta/val.txt').read_text() == 'train_val2018/Aves/3/b.jpg 0\ntrain_val2018/Aves/9/a.jpg 1\n'
    assert '2 images of 2 classes' in capsys.readouterr().out


def test_imagenet_subset(tmp_path, command):
    folder = write_image_folder(tmp_path / 'train')
    for label in range(2):
        (folder / f'class_{label}').rename(folder / f'n000{label}')
    for path in list(folder.rglob('*.jpg')):
        path.rename(path.with_name(f'{path.parent.name}_{path.stem}.JPEG'))
    (tmp_path / '1percent.txt').write_text('n0001_0.JPEG\nn0000_1.JPEG\n')
    command(['imagenet', str(tmp_path / '1percent.txt'), str(folder), str(tmp_path / 'out.txt')])
    assert (tmp_path / 'out.txt').read_text() == 'n0001/n0001_0.JPEG 1\nn0000/n0000_1.JPEG 0\n'
    (tmp_path / '1percent.txt').write_text('n0001_7.JPEG\n')
    with pytest.raises(DataError, match='n0001_7.JPEG, the first image of .* is missing'):
        imagenet_subset(tmp_path / '1percent.txt', folder)
    (tmp_path / '1percent.txt').write_text('n0009_0.JPEG\n')
    with pytest.raises(DataError, match='has no class n0009'):
        imagenet_subset(tmp_path / '1percent.txt', folder)
    (tmp_path / '1percent.txt').write_text('\n')
    with pytest.raises(DataError, match='names no images'):
        imagenet_subset(tmp_path / '1percent.txt', folder)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'annotations': []}, r'has no label for 2 images, the first is train_val2018/Aves/3/b.jpg'),
        ({'categories': [{'id': 9}]}, 'is no annotation file of iNaturalist'),
        ({'images': 5}, 'is no annotation file of iNaturalist'),
    ],
)
def test_damaged_annotations(tmp_path, change, message):
    (tmp_path / 'a.json').write_text(json.dumps({**SPECIES, **change}))
    with pytest.raises(DataError, match=message):
        inaturalist(tmp_path / 'a.json')


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match='There is no annotation file'):
        inaturalist(tmp_path / 'a.json')
    with pytest.raises(DataError, match='There is no list of names'):
        imagenet_subset(tmp_path / 'a.txt', tmp_path)
    (tmp_path / 'a.txt').write_text('n0_1.JPEG')
    with pytest.raises(DataError, match='There is no folder'):
        imagenet_subset(tmp_path / 'a.txt', tmp_path / 'train')
