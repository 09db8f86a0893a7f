import pytest
import torch

from mim_plugin.datasets import ImageFolderLabels
from mim_plugin.errors import DataError
from mim_plugin.testing.images import write_image_folder

PIPELINE = [dict(type='LoadImagePIL'), dict(type='PackImage')]


@pytest.fixture
def folder(tmp_path):
    return write_image_folder(tmp_path / 'images', per_class=2, classes=3)


def labels(dataset):
    return [int(dataset[i]['data_samples'].gt_label) for i in range(len(dataset))]


def test_class_folders_give_labels_in_sorted_order(folder):
    dataset = ImageFolderLabels(str(folder), PIPELINE)
    assert labels(dataset) == [0, 0, 1, 1, 2, 2]
    assert dataset.metainfo['classes'] == ('class_0', 'class_1', 'class_2')
    assert dataset[0]['data_samples'].gt_label.dtype == torch.int64


def test_chosen_classes_keep_their_order(folder):
    dataset = ImageFolderLabels(str(folder), PIPELINE, classes=['class_2', 'class_0'])
    assert labels(dataset) == [0, 0, 1, 1]
    assert 'class_2' in dataset[0]['data_samples'].img_path


def test_a_list_gives_path_and_label(folder):
    (folder / 'a name.jpg').write_bytes((folder / 'class_1/0.jpg').read_bytes())
    (folder / 'list.txt').write_text('a name.jpg 7\nclass_0/1.jpg 4\n')
    dataset = ImageFolderLabels(str(folder), PIPELINE, ann_file='list.txt')
    assert labels(dataset) == [7, 4]
    (folder / 'list.txt').write_text('a name.jpg seven\n')
    with pytest.raises(DataError, match="Line 'a name.jpg seven' of .*list.txt is not a path and a class index"):
        ImageFolderLabels(str(folder), PIPELINE, ann_file='list.txt')


def test_a_damaged_image_is_an_error_by_default(folder):
    (folder / 'class_1' / '0.jpg').write_bytes(b'')
    with pytest.raises(DataError, match=r'At least 1 of the 6 images .* \(16.7%, more than max_broken=0\)'):
        ImageFolderLabels(str(folder), PIPELINE)[2]
    tolerant = ImageFolderLabels(str(folder), PIPELINE, max_broken=0.5)
    sample = tolerant[3]['data_samples']
    assert tolerant[2]['data_samples'].img_path == sample.img_path
    assert tolerant[2]['data_samples'].sample_idx == 2


def test_images_without_class_folders_are_an_error(tmp_path):
    write_image_folder(tmp_path, classes=1)
    with pytest.raises(DataError, match='holds no image'):
        ImageFolderLabels(str(tmp_path / 'class_0'), PIPELINE)
    with pytest.raises(DataError, match='does not exist'):
        ImageFolderLabels(str(tmp_path), PIPELINE, classes=['nothing'])
