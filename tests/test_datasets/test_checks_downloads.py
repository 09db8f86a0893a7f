import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim_plugin.datasets.checks import check_ade20k, check_coco2017, downloads, link_data_root
from mim_plugin.datasets.checks.downloads import how_to_use
from mim_plugin.errors import DataError


@pytest.fixture
def ade(tmp_path, monkeypatch):
    """A stand-in for ADE20K with three and two images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, '_ADE20K', {'training': ('ADE_train', 3), 'validation': ('ADE_val', 2)})
    rng = np.random.default_rng(0)
    for split, prefix, number in (('training', 'ADE_train', 3), ('validation', 'ADE_val', 2)):
        for kind in ('images', 'annotations'):
            os.makedirs(f'ADE/{kind}/{split}')
        for i in range(1, number + 1):
            name = f'{split}/{prefix}_{i:08d}'
            Image.new('RGB', (20, 12)).save(f'ADE/images/{name}.jpg')
            mask = rng.integers(0, 151, (12, 20)).astype(np.uint8)
            Image.fromarray(mask).save(f'ADE/annotations/{name}.png')
    return 'ADE'


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """A stand-in for COCO 2017 with two and one image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, '_COCO', {'train2017': (2, 2), 'val2017': (1, 1)})
    os.makedirs('coco/annotations')
    for split, number in (('train2017', 2), ('val2017', 1)):
        os.makedirs(f'coco/{split}')
        ids = range(1, number + 1)
        for i in ids:
            Image.new('RGB', (40, 30)).save(f'coco/{split}/{i:012d}.jpg')
        box = dict(category_id=1, bbox=[1, 2, 3, 4], area=6, iscrowd=0, segmentation=[[1, 2, 4, 2, 4, 6]])
        data = dict(
            images=[dict(id=i, file_name=f'{i:012d}.jpg', width=40, height=30) for i in ids],
            annotations=[dict(id=i, image_id=i, **box) for i in ids],
            categories=[dict(id=i, name=f'class {i}') for i in range(1, 81)],
        )
        Path(f'coco/annotations/instances_{split}.json').write_text(json.dumps(data))
    return 'coco'


def problems(report):
    return {finding.what: finding.names for finding in report.problems}


def test_whole_download_of_ade20k(ade):
    report = check_ade20k(ade)
    assert problems(report) == {}
    assert report.counts[:4] == [
        'images/training: 3 of 3 files.',
        'annotations/training: 3 of 3 files.',
        'images/validation: 2 of 2 files.',
        'annotations/validation: 2 of 2 files.',
    ]


def test_each_missing_file_of_ade20k_is_named(ade):
    os.remove('ADE/images/training/ADE_train_00000002.jpg')
    os.remove('ADE/annotations/validation/ADE_val_00000001.png')
    assert problems(check_ade20k(ade)) == {
        'files missing in ADE/images/training': ['ADE_train_00000002.jpg'],
        'files missing in ADE/annotations/validation': ['ADE_val_00000001.png'],
    }


def test_missing_folder_of_ade20k_is_named_once(ade):
    shutil.rmtree('ADE/annotations/training')
    assert problems(check_ade20k(ade)) == {'folders or files missing': ['ADE/annotations/training']}


def test_label_beyond_the_150_classes(ade):
    Image.fromarray(np.full((12, 20), 151, np.uint8)).save('ADE/annotations/training/ADE_train_00000001.png')
    (what, names), *others = problems(check_ade20k(ade)).items()
    assert 'neither a class (1 to 150) nor ignored (0, 255)' in what
    assert names == ['ADE/annotations/training/ADE_train_00000001.png (151)']
    assert others == []


def test_folder_above_or_beside_is_explained(ade):
    with pytest.raises(DataError, match='There is no folder nowhere'):
        check_ade20k('nowhere')
    with pytest.raises(DataError, match='holds none of images/training.*unpack ADEChallengeData2016.zip there'):
        check_ade20k('.')
    os.rename('ADE', 'ADEChallengeData2016')
    with pytest.raises(DataError, match='give ADEChallengeData2016'):
        check_ade20k('.')


def test_whole_download_of_coco(coco):
    report = check_coco2017(coco)
    assert problems(report) == {}
    assert report.counts == [
        'train2017: 2 images, 2 objects, 80 categories.',
        'val2017: 1 image, 1 object, 80 categories.',
    ]


def test_missing_parts_of_coco_are_named(coco):
    os.remove('coco/annotations/instances_val2017.json')
    os.remove('coco/train2017/000000000002.jpg')
    assert problems(check_coco2017(coco)) == {
        'folders or files missing': ['coco/annotations/instances_val2017.json'],
        'train2017: images missing in coco/train2017': ['000000000002.jpg'],
    }


def test_part_of_coco_is_not_coco(coco, monkeypatch):
    monkeypatch.setattr(downloads, '_COCO', {'train2017': (3, 2), 'val2017': (1, 1)})
    (what, names), *others = problems(check_coco2017(coco)).items()
    assert what == "files of annotations that are not COCO's" and others == []
    assert names == ['coco/annotations/instances_train2017.json (COCO has 3 images, 2 objects, 80 categories)']


def test_link_leads_to_the_data_and_replaces_nothing(ade):
    link = 'data/ade/ADEChallengeData2016'
    assert 'data_root=' in how_to_use(ade, link)
    assert link_data_root(ade, link).endswith(f'now leads to {os.path.realpath(ade)}.')
    assert os.path.isdir(f'{link}/images/training')
    assert 'already' in link_data_root(ade, link)
    assert how_to_use(ade, link) == f'The configs find it at {link}.'
    os.mkdir('other')
    with pytest.raises(DataError, match='does not lead to'):
        link_data_root('other', link)
