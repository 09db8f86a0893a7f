"""tools/test.py as a user types it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.apis.run import prepare_config
from mim_plugin.apis.run import test as run_test
from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(workplace, monkeypatch) -> str:
    monkeypatch.chdir(workplace)
    return shutil.copy(ROOT / 'tests/data/knn_tiny.py', workplace / 'my_configs')


def backbone_file(config: str, **changes) -> str:
    cfg = Config.fromfile(config)
    cfg.model.backbone.arch.update(changes)
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        backbone = MODELS.build(cfg.model.backbone)
    torch.save({'state_dict': backbone.state_dict()}, 'backbone.pth')
    return 'backbone.pth'


def test_writes_the_metrics_of_a_checkpoint(call, config):
    done = call('test.py', config, backbone_file(config), '--out', 'results/knn.json')
    assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads(Path('results/knn.json').read_text())
    assert metrics['knn/top1_k1'] == 100


def test_two_processes_find_the_same(call, config):
    checkpoint = backbone_file(config)
    done = call('dist_test.sh', config, checkpoint, '2', '--out', 'two.json', PORT='29577')
    assert done.returncode == 0, done.stderr[-2000:]
    expected = run_test(prepare_config(config, work_dir='one'), checkpoint)
    found = json.loads(Path('two.json').read_text())
    assert found == pytest.approx(expected)


def test_checkpoint_that_does_not_fit_is_refused(config):
    other = backbone_file(config, embed_dims=32)
    with pytest.raises(CheckpointError, match='backbone.pth'):
        run_test(prepare_config(config, work_dir='other'), other)


def test_test_time_augmentation_of_a_segmenter(config, tmp_path):
    pytest.importorskip('mmseg')
    path = ROOT / 'configs/segmentation/ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py'
    cfg = prepare_config(shrink(Config.fromfile(path), tmp_path), work_dir='segmenter')
    assert 'mIoU' in run_test(cfg, tta=True)


def test_test_time_augmentation_needs_its_entries(config):
    with pytest.raises(ConfigError, match='tta_pipeline'):
        run_test(prepare_config(config), backbone_file(config), tta=True)
