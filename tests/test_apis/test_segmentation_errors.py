"""What is wrong with masks is said in one sentence with the files, not in torch's words."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mim_plugin.apis.run import prepare_config, train
from mim_plugin.apis.segmentation_errors import explain_masks
from mim_plugin.errors import DataError
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
LABEL = IndexError('Target 199 is out of bounds.')
DAMAGED = OSError('Caught OSError in DataLoader worker process 0.\nimage file is truncated (1 bytes not processed)')
SIZES = RuntimeError('stack expects each tensor to be equal size, but got [1, 64, 64] at entry 0')


@pytest.fixture
def cfg(tmp_path):
    pytest.importorskip('mmseg')
    path = ROOT / 'configs/segmentation/ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py'
    return shrink(Config.fromfile(path), tmp_path)


def masks(cfg, split):
    return sorted(Path(cfg.train_dataloader.dataset.data_root, 'annotations', split).glob('*.png'))


def test_training_names_the_masks_with_a_label_that_is_no_class(cfg, tmp_path):
    for path in masks(cfg, 'training'):
        Image.fromarray(np.full((72, 80), 200, np.uint8)).save(path)
    cfg.experiment_name = tmp_path.name
    with pytest.raises(DataError) as error:
        train(prepare_config(cfg, work_dir=str(tmp_path / 'work')))
    text = str(error.value)
    start = 'train_dataloader.dataset (for model.auxiliary_head.num_classes=150): '
    assert text.startswith(f'{start}masks with a value that is neither a class (1 to 150) nor ignored')
    assert f'{masks(cfg, "training")[0]} (200)' in text and 'raise num_classes (now 150)' in text
    assert '\n' not in text


def test_other_sizes_and_damaged_files_of_either_loader(cfg):
    path = masks(cfg, 'validation')[1]
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(path)
    text = explain_masks(cfg, SIZES)
    assert text.startswith('val_dataloader.dataset (for model.auxiliary_head.num_classes=150): ')
    assert 'masks of another size than their image (1): ' in text
    assert f'(80 x 72) with {path} (40 x 30)' in text
    path.write_bytes(path.read_bytes()[:-20])
    assert f'unreadable files (1): {path} (' in explain_masks(cfg, DAMAGED)


def test_ignored_labels_are_no_fault(cfg):
    Image.fromarray(np.full((72, 80), 200, np.uint8)).save(masks(cfg, 'training')[0])
    assert explain_masks(cfg, LABEL)
    cfg.train_dataloader.dataset.pipeline.insert(2, dict(type='mim_plugin.IgnoreOtherLabels', num_classes=150))
    assert explain_masks(cfg, LABEL) is None


def test_the_head_with_the_fewest_classes_is_named(cfg):
    Image.fromarray(np.full((72, 80), 120, np.uint8)).save(masks(cfg, 'training')[0])
    assert explain_masks(cfg, LABEL) is None
    cfg.model.auxiliary_head.num_classes = 100
    text = explain_masks(cfg, LABEL)
    assert text.startswith('train_dataloader.dataset (for model.auxiliary_head.num_classes=100): masks with a value')
    assert 'raise num_classes (now 100)' in text


def test_labels_that_are_kept_beyond_the_classes(cfg):
    cfg.val_dataloader.dataset.pipeline.append(dict(type='mim_plugin.IgnoreOtherLabels', num_classes=151))
    assert explain_masks(cfg, LABEL) == (
        'val_dataloader.dataset.pipeline: IgnoreOtherLabels keeps the labels below 151, but '
        'model.auxiliary_head.num_classes is 150; give both the number of classes.'
    )


def test_sound_masks_and_other_errors_are_left_alone(cfg, monkeypatch):
    assert explain_masks(cfg, LABEL) is None
    assert explain_masks(Config(dict(model=dict(type='IBOT'))), SIZES) is None
    monkeypatch.setattr('mim_plugin.datasets.checks.segmentation.check_pairs', None)  # is not called
    assert explain_masks(cfg, RuntimeError('CUDA out of memory')) is None
