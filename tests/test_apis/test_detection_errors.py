"""What stops a detector is said in one sentence with the file or the command that mends it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mim_plugin.apis.config_errors import explain_build_errors
from mim_plugin.apis.detection_errors import (
    TrainedObjects,
    check_measured_objects,
    explain_annotations,
    explain_operators,
)
from mim_plugin.apis.run import prepare_config, train
from mim_plugin.errors import ConfigError, DataError
from mim_plugin.testing.coco_images import write_coco_folder
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
CASCADE = ROOT / 'configs/detection/ibot_vit-small-p16_cascade-mask-rcnn_8xb4-1x_coco.py'
WITHOUT_OPERATORS = """
import sys

class NoOperators:
    def find_spec(self, name, path=None, target=None):
        if name == 'mmcv._ext':
            raise ModuleNotFoundError("No module named 'mmcv._ext'", name=name)

sys.meta_path.insert(0, NoOperators())
"""


def test_training_without_operators_says_how_to_get_them(tmp_path):
    pytest.importorskip('mmdet')
    (tmp_path / 'sitecustomize.py').write_text(WITHOUT_OPERATORS)
    env = {**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{ROOT}', 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(CASCADE), '--work-dir', str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr[-2000:]
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith('error: Detection needs the compiled operators of mmcv')
    assert "No module named 'mmcv._ext'" in message and 'tools/doctor.py' in message
    assert 'tools/setup.sh --extra detection' in message or 'MMCV_WITH_OPS=1 pip install' in message


@pytest.mark.parametrize(
    ('text', 'is_about_operators'),
    [
        ("No module named 'mmcv._ext'", True),
        ("No module named 'mmcv.ops'", True),
        ('/x/mmcv/_ext.cpython-311.so: undefined symbol: _ZN\nmore', True),
        ("No module named 'pycocotools'", False),
    ],
)
def test_which_imports_are_about_operators(text, is_about_operators):
    message = explain_operators(ImportError(text))
    assert bool(message) == is_about_operators
    if message:
        assert '\n' not in message
        with pytest.raises(ConfigError, match='compiled operators'), explain_build_errors(Config({})):
            raise ImportError(text)


@pytest.fixture
def dataset(tmp_path):
    """Config of a data set of four images with objects of two classes."""
    classes = ('square', 'triangle')
    write_coco_folder(tmp_path / 'train', tmp_path / 'train.json', classes)
    return dict(
        type='CocoDataset',
        data_root=str(tmp_path),
        ann_file='train.json',
        metainfo=dict(classes=classes),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
    )


def explain(dataset: dict) -> str | None:
    return explain_annotations(Config(dict(train_dataloader=dict(dataset=dataset))))


def change(dataset: dict, **parts) -> None:
    file = Path(dataset['data_root']) / dataset['ann_file']
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


@pytest.mark.parametrize(
    ('key', 'test_mode', 'blamed'), [('area', False, True), ('iscrowd', True, True), ('iscrowd', False, False)]
)
def test_objects_without_what_mmdet_reads(dataset, key, test_mode, blamed):
    content = json.loads((Path(dataset['data_root']) / 'train.json').read_text())
    del content['annotations'][1][key]
    change(dataset, annotations=content['annotations'])
    message = explain({**dataset, 'test_mode': test_mode})
    if blamed:
        start = f'train.json (train_dataloader.dataset.ann_file) has objects without {key}, the first with id '
        assert f'{start}{content["annotations"][1]["id"]}; ' in message
        assert message.endswith('check_dataset.py coco names all and says what to write.')
    else:
        assert message is None


def test_run_lengths_of_another_size(dataset):
    notes = json.loads((Path(dataset['data_root']) / 'train.json').read_text())['annotations']
    notes[1]['segmentation'] = dict(size=[10, 10], counts=[0, 100])
    change(dataset, annotations=notes)
    assert f'masks of another size than their image, the first with id {notes[1]["id"]}; tools/' in explain(dataset)


class Infos(list):
    """A data set that is its entries."""

    ann_file, metainfo = 'data/train.json', dict(classes=('nut', 'screw'))

    def get_data_info(self, i):
        return self[i]


def before_train(dataset):
    TrainedObjects().before_train(SimpleNamespace(train_dataloader=SimpleNamespace(dataset=dataset)))


def test_training_without_any_object_is_refused():
    with pytest.raises(DataError, match=r'^data/train.json \(train_dataloader.dataset.ann_file\) .* nut, screw'):
        before_train(Infos([dict(instances=[]), dict(instances=[])]))


@pytest.mark.parametrize(
    'dataset', [Infos([dict(instances=[]), dict(instances=[{}])]), Infos([dict(gt_label=3)]), Infos(), [1, 2]]
)
def test_other_trainings_are_not(dataset):
    before_train(dataset)


def test_good_annotations_are_not_blamed(dataset):
    assert explain(dataset) is None
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    with pytest.raises(ValueError, match='something else'), explain_build_errors(cfg):
        raise ValueError('something else')


def test_bad_files_are_named(dataset, tmp_path):
    where = rf'{tmp_path}/train.json (train_dataloader.dataset.ann_file) '
    (tmp_path / 'train.json').write_text('{"images": [')
    assert explain(dataset).startswith(where + 'is no JSON file (')
    (tmp_path / 'train.json').write_text('')
    assert explain(dataset) == where + 'is empty; write it again.'
    (tmp_path / 'train.json').write_text('{"images": []}')
    assert explain(dataset).startswith(where + 'has no annotations, categories; ')
    (tmp_path / 'train.json').unlink()
    assert explain(dataset).startswith(where + 'does not exist; set data_root')
    assert explain(dict(dataset, data_root='s3://bucket/')) is None


def test_annotations_without_use_are_explained(dataset):
    change(dataset, categories=[dict(id=1, name='cat'), dict(id=2, name='dog')])
    assert 'has none of the classes square, triangle; set metainfo.classes to some of cat, dog' in explain(dataset)
    change(dataset, categories=[dict(id=1, name='square')])
    assert explain(dataset) is None
    assert 'filter_cfg.min_size=100' in explain(dict(dataset, filter_cfg=dict(min_size=100)))
    change(dataset, annotations=[])
    assert 'has no objects of the classes' in explain(dataset)
    assert explain(dict(dataset, filter_cfg=dict(filter_empty_gt=False))) is None
    assert explain(dict(dataset, test_mode=True)) is None
    change(dataset, images=[])
    assert 'lists no images' in explain(dataset)


def test_measuring_without_objects_is_refused(dataset, tmp_path):
    metric = dict(type='CocoMetric', ann_file=str(tmp_path / 'train.json'))
    check_measured_objects(Config(dict(val_evaluator=metric)), 'val_evaluator')
    change(dataset, annotations=[])
    for evaluator, key in ((metric, 'val_evaluator'), ([metric], 'val_evaluator.0')):
        with pytest.raises(DataError, match=rf'train.json \({key}.ann_file\) has no objects to measure by'):
            check_measured_objects(Config(dict(val_evaluator=evaluator)), 'val_evaluator')
    check_measured_objects(Config(dict(val_evaluator=None, test_evaluator=metric)), 'val_evaluator')
    check_measured_objects(Config(dict(val_evaluator=dict(metric, format_only=True))), 'val_evaluator')


@pytest.mark.ops
def test_training_on_empty_annotations_stops_with_the_file(tmp_path):
    pytest.importorskip('mmdet')
    cfg = prepare_config(shrink(Config.fromfile(CASCADE), tmp_path / 'data'), work_dir=str(tmp_path / 'work'))
    cfg.experiment_name = tmp_path.name
    dataset = cfg.train_dataloader.dataset
    change(dict(dataset, ann_file=Path(cfg.val_evaluator.ann_file).name), annotations=[])
    with pytest.raises(DataError, match=r'instances_val2017.json \(val_evaluator.ann_file\) has no objects to measure'):
        train(cfg)
    write_coco_folder(tmp_path / 'unused', cfg.val_evaluator.ann_file, ('person',))
    change(dataset, annotations=[])
    with pytest.raises(DataError, match=r'instances_train2017.json \(train_dataloader.dataset.ann_file\) has no obj'):
        train(cfg)
