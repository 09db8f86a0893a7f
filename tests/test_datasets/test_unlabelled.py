import copy
import pickle

import pytest
import torch
from mmengine.dataset import default_collate
from PIL import Image
from torch.utils.data import DataLoader

from mim_plugin.datasets import UnlabelledImages
from mim_plugin.errors import ConfigError, DataError
from mim_plugin.registry import DATASETS
from mim_plugin.testing.images import write_image_folder

IMAGE = [dict(type='LoadImagePIL'), dict(type='PackImage')]
VIEWS = [
    dict(type='LoadImagePIL'),
    dict(type='MultiCrop', global_crops=2, global_size=32, local_crops=3, local_size=16),
    dict(type='PredictionMasks', patch_size=8, pred_ratio=0.3, pred_start_epoch=1),
    dict(type='PackViews'),
]


@pytest.fixture
def folder(tmp_path):
    return write_image_folder(tmp_path / 'images', per_class=6)


def paths(dataset):
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def loaded(dataset, workers, **kwargs):
    """Batches of one pass."""
    loader = DataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=default_collate, **kwargs)
    return [batch['inputs'] for batch in loader]


def assert_equal_views(a, b):
    assert len(a) == len(b)
    for left, right in zip(a, b):
        assert left.keys() == right.keys()
        for key in left:
            assert all(torch.equal(x, y) for x, y in zip(left[key], right[key]))


def test_any_folder_is_a_data_set_from_a_config(folder):
    dataset = DATASETS.build(dict(type='UnlabelledImages', data_root=str(folder), pipeline=IMAGE))
    assert len(dataset) == 12
    assert paths(dataset) == sorted(paths(dataset))
    assert dataset[3]['data_samples'].img_path == paths(dataset)[3]
    assert dataset[-1]['data_samples'].sample_idx == 11


def test_prefix_list_and_indices_choose_images(folder):
    (folder / 'some.txt').write_text('2.jpg\n0.jpg\n')
    listed = UnlabelledImages(str(folder), IMAGE, ann_file='some.txt', data_prefix='class_1')
    assert paths(listed) == [str(folder / 'class_1' / name) for name in ('2.jpg', '0.jpg')]
    assert len(UnlabelledImages(str(folder), IMAGE, indices=5)) == 5
    assert len(UnlabelledImages(str(folder), IMAGE, data_prefix=dict(img_path='class_0'))) == 6


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DataError, match='nowhere.* does not exist'):
        UnlabelledImages(str(tmp_path / 'nowhere'), IMAGE)
    with pytest.raises(DataError, match=f'{tmp_path}.* holds no image'):
        UnlabelledImages(str(tmp_path), IMAGE)


def test_lazy_init_searches_at_the_first_use(tmp_path):
    dataset = UnlabelledImages(str(tmp_path / 'later'), IMAGE, lazy_init=True)
    write_image_folder(tmp_path / 'later')
    assert dataset[0]['inputs'].shape == (3, 72, 80)


def test_views_of_a_batch_have_the_documented_form(folder):
    dataset = UnlabelledImages(str(folder), VIEWS)
    dataset.set_epoch(1)
    inputs = loaded(dataset, workers=0)[0]
    assert [tuple(x.shape) for x in inputs['global']] == [(4, 3, 32, 32)] * 2
    assert [tuple(x.shape) for x in inputs['local']] == [(4, 3, 16, 16)] * 3
    assert [tuple(x.shape) for x in inputs['mask']] == [(4, 4, 4)] * 2
    assert {x.dtype for x in inputs['global'] + inputs['local']} == {torch.uint8}
    assert {x.dtype for x in inputs['mask']} == {torch.bool}
    assert all(x.is_contiguous() for x in inputs['global'] + inputs['local'] + inputs['mask'])


def test_views_depend_on_seed_epoch_and_index_alone(folder):
    dataset = UnlabelledImages(str(folder), VIEWS, seed=3)
    dataset.set_epoch(5)
    torch.manual_seed(0)
    first = loaded(dataset, workers=0)
    torch.manual_seed(1)
    assert_equal_views(first, loaded(dataset, workers=2))
    again = UnlabelledImages(str(folder), VIEWS, seed=3)
    again.set_epoch(5)
    assert torch.equal(again[7]['inputs']['global'][0], first[1]['global'][0][3])
    for seed, epoch in ((4, 5), (3, 6)):
        other = UnlabelledImages(str(folder), VIEWS, seed=seed)
        other.set_epoch(epoch)
        assert not torch.equal(other[7]['inputs']['global'][0], first[1]['global'][0][3])


def test_without_a_seed_torchs_is_taken(folder):
    crops = []
    for seed in (1, 1, 2):
        dataset = UnlabelledImages(str(folder), VIEWS)
        torch.manual_seed(seed)
        dataset.set_epoch(1)
        crops.append(dataset[0]['inputs']['global'][0])
    assert torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[0], crops[2])


def test_persistent_workers_learn_the_epoch(folder):
    dataset = UnlabelledImages(str(folder), VIEWS, seed=0)
    loader = DataLoader(dataset, batch_size=6, num_workers=2, collate_fn=default_collate, persistent_workers=True)
    hidden, crops = [], []
    for epoch in range(3):
        dataset.set_epoch(epoch)
        batches = [batch['inputs'] for batch in loader]
        hidden.append(sum(int(mask.sum()) for batch in batches for mask in batch['mask']))
        crops.append(batches[0]['global'][0])
    assert hidden[0] == 0 and hidden[1] > 0 and hidden[2] > 0  # pred_start_epoch is 1
    assert not torch.equal(crops[1], crops[2])


def test_without_an_epoch_workers_and_passes_differ(folder):
    pipeline = [VIEWS[0], VIEWS[1], VIEWS[3]]
    same_image = UnlabelledImages(str(folder), pipeline, indices=[0] * 8)
    crops = [crop for _ in range(2) for batch in loaded(same_image, workers=2) for crop in batch['global'][0]]
    assert len({crop.numpy().tobytes() for crop in crops}) == 16


def test_a_late_start_of_prediction_without_an_epoch_is_an_error(folder):
    with pytest.raises(ConfigError, match='pred_start_epoch=1 but is not told the epoch'):
        UnlabelledImages(str(folder), VIEWS)[0]


def test_damaged_images_are_replaced_by_the_next_and_counted_once(folder, caplog):
    (folder / 'class_0' / '3.jpg').write_bytes(b'')
    (folder / 'class_0' / '4.jpg').write_text('<html>')
    dataset = UnlabelledImages(str(folder), IMAGE, max_broken=0.2)
    with caplog.at_level('WARNING'):
        samples = [dataset[i]['data_samples'] for _ in range(2) for i in range(12)]
    assert [sample.img_path for sample in samples[3:6]] == [paths(dataset)[5]] * 3
    assert [sample.sample_idx for sample in samples[:12]] == list(range(12))
    assert dataset.broken_paths() == [paths(dataset)[3], paths(dataset)[4]]


def test_the_last_image_is_replaced_by_the_first(folder):
    (folder / 'class_1' / '5.jpg').write_bytes(b'')
    dataset = UnlabelledImages(str(folder), IMAGE)
    assert dataset[11]['data_samples'].img_path == paths(dataset)[0]


@pytest.mark.parametrize('workers', [0, 2])
def test_too_many_damaged_images_end_the_run(folder, workers):
    for name in ('0', '2', '5'):
        (folder / 'class_1' / f'{name}.jpg').write_bytes(b'no image')
    dataset = UnlabelledImages(str(folder), VIEWS[:2] + VIEWS[3:], max_broken=0.2)
    with pytest.raises(DataError) as caught:
        for epoch in range(2):  # with workers, each may meet too few in the first pass
            loaded(dataset, workers)
    message = str(caught.value)
    assert 'At least 3 of the 12 images' in message
    assert '(25.0%, more than max_broken=0.2)' in message
    for name in ('0', '2', '5'):
        assert str(folder / 'class_1' / f'{name}.jpg') in message


def test_workers_share_the_count(folder):
    for name in range(4):
        (folder / 'class_0' / f'{name}.jpg').write_bytes(b'no image')
    dataset = UnlabelledImages(str(folder), VIEWS[:2] + VIEWS[3:], max_broken=0.5)
    loaded(dataset, workers=2)
    assert dataset.broken_paths() == paths(dataset)[:4]


def test_a_tolerated_share_of_nothing_readable_is_still_an_error(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    dataset = UnlabelledImages(str(tmp_path), IMAGE, max_broken=1.0)
    with pytest.raises(DataError, match='holds no image that can be decoded'):
        dataset[0]
    with pytest.raises(ConfigError, match='max_broken is 10'):
        UnlabelledImages(str(tmp_path), IMAGE, max_broken=10)


def test_copies_and_subsets_work(folder):
    (folder / 'class_0' / '1.jpg').write_bytes(b'')
    dataset = UnlabelledImages(str(folder), VIEWS, seed=0, max_broken=0.5)
    dataset.set_epoch(2)
    expected = dataset[4]['inputs']['global'][0]
    for twin in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert torch.equal(twin[4]['inputs']['global'][0], expected)
    subset = dataset.get_subset([0, 1, 2])
    assert len(subset) == 3
    subset[1]
    assert subset.broken_paths() == [paths(dataset)[1]]
    dataset.get_subset_(5)
    assert len(dataset) == 5
    assert dataset[4]['inputs']['global'][0].shape == (3, 32, 32)


def test_odd_but_valid_images_give_views(tmp_path):
    photo = Image.effect_mandelbrot((90, 60), (-2, -1, 1, 1), 50)
    photo.save(tmp_path / 'grey.png')
    photo.convert('CMYK').save(tmp_path / 'cmyk.jpg')
    photo.convert('P').save(tmp_path / 'palette.gif', save_all=True, append_images=[photo.rotate(90)])
    photo.convert('RGBA').resize((1, 1)).save(tmp_path / 'pixel.png')
    photo.resize((400, 3)).save(tmp_path / 'thin.jpg')
    dataset = UnlabelledImages(str(tmp_path), VIEWS, max_broken=0)
    dataset.set_epoch(1)
    for i in range(5):
        inputs = dataset[i]['inputs']
        assert inputs['global'][0].shape == (3, 32, 32)
        assert inputs['local'][2].shape == (3, 16, 16)
