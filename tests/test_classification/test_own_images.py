"""A folder of labelled images of one's own: from a config elsewhere to a tested checkpoint."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mim_plugin.apis.run import prepare_config, train
from mim_plugin.apis.run import test as run_test
from mim_plugin.errors import ConfigError
from mim_plugin.testing.images import write_image_folder

pytest.importorskip('mmpretrain')
ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = 'mim_plugin::classification/ibot_vit-small-p16_1xb64-coslr-50e_custom.py'

arch = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
backbone = dict(type='mim_plugin.MIMVisionTransformer', arch=arch, img_size=224, patch_size=32, out_type='cls_token')
model = dict(backbone=dict(_delete_=True, **backbone), head=dict(in_channels=32))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2)
param_scheduler = [dict(type='mim_plugin.WarmupCosineLR', warmup_epochs=1, convert_to_iter_based=True)]
"""
CLASSES = ('data_preprocessor.num_classes=3', 'model.head.num_classes=3')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('user')
    for part in ('train', 'val'):
        write_image_folder(folder / 'data/my_images' / part, per_class=3, classes=3)
    (folder / 'mine.py').write_text(CONFIG)
    return folder


def call(folder, tool, *arguments):
    command = [sys.executable, str(ROOT / 'tools' / tool), *arguments]
    env = {'PATH': '/usr/bin:/bin', 'HOME': str(folder), 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)


def test_training_then_testing_gives_the_same_accuracy(folder, monkeypatch):
    done = call(folder, 'train.py', 'mine.py', '--cfg-options', *CLASSES)
    assert done.returncode == 0, done.stderr[-2000:]
    (logged,) = folder.glob('work_dirs/mine/*/vis_data/scalars.json')
    lines = [json.loads(line) for line in logged.read_text().splitlines()]
    accuracies = [line['accuracy/top1'] for line in lines if 'accuracy/top1' in line]
    (best,) = folder.glob('work_dirs/mine/best_accuracy_top1_epoch_*.pth')
    epoch = int(re.search(r'(\d+)\.pth', best.name)[1])
    assert len(accuracies) == 2 and accuracies[epoch - 1] == max(accuracies)

    monkeypatch.chdir(folder)
    options = dict(entry.split('=') for entry in CLASSES)
    cfg = prepare_config('mine.py', work_dir='tested', cfg_options={key: int(n) for key, n in options.items()})
    assert run_test(cfg, str(best))['accuracy/top1'] == pytest.approx(accuracies[epoch - 1])


def test_wrong_number_of_classes_is_one_sentence(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match=r'images have 3 classes \(.*train\), the model has 2; set .* to 3\.'):
        train(prepare_config('mine.py', work_dir='wrong'))
