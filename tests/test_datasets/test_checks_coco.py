import json
import os
from pathlib import Path

import pytest
from PIL import Image

from mim_plugin.datasets.checks import check_coco
from mim_plugin.errors import DataError


def entry(number, image=1, category=7, box=(2, 3, 10, 5)):
    x, y, w, h = box
    outline = [x, y, x + w, y, x + w, y + h]
    where = dict(id=number, image_id=image, category_id=category, bbox=list(box))
    return dict(where, segmentation=[outline], area=w * h / 2, iscrowd=0)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two images of 40 x 30 with two objects of one of two categories."""
    monkeypatch.chdir(tmp_path)
    os.mkdir('images')
    for name in ('a', 'b'):
        Image.new('RGB', (40, 30)).save(f'images/{name}.jpg')
    return dict(
        images=[dict(id=i, file_name=f'{name}.jpg', width=40, height=30) for i, name in ((1, 'a'), (2, 'b'))],
        annotations=[entry(1), entry(2, image=2)],
        categories=[dict(id=7, name='cat'), dict(id=9, name='dog')],
    )


def check(data, **options):
    Path('objects.json').write_text(json.dumps(data))
    return check_coco('objects.json', 'images', **options)


def names(report, what):
    return next((finding.names for finding in report.findings if what in finding.what), None)


def test_sound_data_set(data):
    report = check(data)
    assert report.problems == []
    assert report.counts == [
        '2 images, 2 objects, 2 categories.',
        "Config: metainfo=dict(classes=('cat', 'dog')) in every dataset, num_classes=2 in the heads.",
    ]
    assert names(report, 'categories without an object') == ['dog']


def test_image_without_object_is_counted_and_no_problem(data):
    data['annotations'] = [entry(1)]
    report = check(data)
    assert names(report, 'images without an object') == ['b.jpg']
    assert report.problems == []


def test_no_object_at_all(data):
    data['annotations'] = []
    report = check(data)
    assert [finding.what for finding in report.problems] == ['annotation lists without any object']


def test_category_that_is_not_listed(data):
    data['annotations'].append(entry(3, category=8))
    assert names(check(data), 'category is not in categories') == ['annotation 3 of a.jpg (category 8)']


def test_object_of_an_unknown_image(data):
    data['annotations'].append(entry(3, image=5))
    assert names(check(data), 'objects of images') == ['annotation 3 (image 5)']


@pytest.mark.parametrize(
    ('box', 'what'),
    [
        ((5, 5, 0, 3), 'boxes without area'),
        ((5, 5, 4, -3), 'boxes without area'),
        ((30, 5, 12, 3), 'boxes that reach beyond'),
        ((-3, 5, 12, 3), 'boxes that reach beyond'),
        ((3, 27, 12, 6), 'boxes that reach beyond'),
        ((0.2, 0.3, 0.8, 0.5), 'boxes inside the first pixel'),
        ((float('nan'), 5, 4, 3), 'not four finite numbers'),
    ],
)
def test_bad_boxes(data, box, what):
    data['annotations'].append(entry(3, box=box))
    found = names(check(data), what)
    assert len(found) == 1 and found[0].startswith('annotation 3 of a.jpg (')


def test_boxes_of_other_lengths(data):
    data['annotations'][0]['bbox'] = [1, 2, 3]
    del data['annotations'][1]['bbox']
    assert len(names(check(data), 'not four finite numbers')) == 2


def test_rounding_beyond_the_border_is_allowed(data):
    data['annotations'].append(entry(3, box=(30.2, 20, 10.4, 10.5)))
    assert check(data).problems == []


def test_the_two_flat_boxes_of_coco_itself_are_a_note(data):
    data['annotations'] += [entry(3, box=(5, 5, 3, 0)), entry(4, box=(5, 5, 3, 0))]
    assert check(data, official=True).problems == []
    assert len(check(data).problems) == 1
    data['annotations'].append(entry(5, box=(5, 5, 3, 0)))
    assert len(check(data, official=True).problems) == 1


def test_missing_additional_damaged_and_resized_images(data):
    os.remove('images/a.jpg')
    Image.new('RGB', (30, 40)).save('images/b.jpg')
    Image.new('RGB', (30, 40)).save('images/c.jpg')
    Path('images/d.jpg').write_bytes(b'\xff\xd8\xff')
    data['images'].append(dict(id=4, file_name='d.jpg', width=40, height=30))
    report = check(data)
    assert names(report, 'images missing in images') == ['a.jpg']
    assert names(report, 'does not list') == ['c.jpg']
    assert names(report, 'unreadable images')[0].startswith('images/d.jpg (')
    assert names(report, 'another size') == ['b.jpg (file 30 x 40, annotations 40 x 30)']
    assert len(report.problems) == 3


def test_ids_that_are_not_unique(data):
    data['annotations'][1]['id'] = 1
    data['categories'][1]['id'] = 7
    report = check(data)
    assert names(report, 'several annotations') == ['id 1']
    assert names(report, 'several categories') == ['id 7']


def test_objects_without_a_mask_are_a_note(data):
    data['annotations'][0]['segmentation'] = []
    report = check(data)
    assert names(report, 'objects without a mask') == ['annotation 1 of a.jpg']
    assert report.problems == []


def test_objects_without_what_the_toolbox_reads(data):
    del data['annotations'][0]['area']
    del data['annotations'][1]['iscrowd']
    found = ['annotation 1 of a.jpg (area)', 'annotation 2 of b.jpg (iscrowd)']
    assert names(check(data), 'without area or iscrowd') == found


def test_run_lengths_of_another_size(data):
    data['annotations'][0]['segmentation'] = dict(size=[30, 40], counts=[0, 1200])
    data['annotations'][1]['segmentation'] = dict(size=[40, 30], counts=[0, 1200])
    (finding,) = check(data).problems
    assert finding.what == 'masks of another size than their image'
    assert finding.names == ['annotation 2 of b.jpg (mask [40, 30], image 30 x 40, rows first)']


@pytest.mark.parametrize('key', ['images', 'annotations', 'categories'])
def test_entries_that_are_no_dicts(data, key):
    data[key].append(5)
    with pytest.raises(DataError, match=f'of {key} in objects.json is 5, not a dict; write the file again'):
        check(data)


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_empty_lists(data, key):
    data[key] = []
    with pytest.raises(DataError, match=f'objects.json lists no {key}; write those of the data set into it'):
        check(data)


def test_files_that_are_no_coco_file(data):
    with pytest.raises(DataError, match='There is no annotation file nothing.json'):
        check_coco('nothing.json', 'images')
    Path('broken.json').write_text('{"images": [')
    with pytest.raises(DataError, match='broken.json cannot be read'):
        check_coco('broken.json', 'images')
    with pytest.raises(DataError, match='objects.json has no list categories'):
        check({key: data[key] for key in ('images', 'annotations')})
    with pytest.raises(DataError, match='objects.json has no list images, annotations, categories'):
        check([])
    with pytest.raises(DataError, match='Entry 1 of images in objects.json has no file_name'):
        check({**data, 'images': [data['images'][0], dict(id=2)]})
    with pytest.raises(DataError, match='lists no image'):
        check({**data, 'images': []})
    check(data)
    with pytest.raises(DataError, match='nowhere does not exist'):
        check_coco('objects.json', 'nowhere')
