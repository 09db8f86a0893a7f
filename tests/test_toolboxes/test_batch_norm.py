"""Batch norm on one device, on two, and with one image."""

import os
import re
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mim_plugin.apis.batch_norm import refuse_single_images
from mim_plugin.apis.run import train
from mim_plugin.errors import ConfigError
from tests.test_toolboxes.tasks import ROOT, run_of, small

CONVERTED = re.compile(r'WARNING.*: (\d+) SyncBN layers become BN')
TRAIN = """
from mim_plugin.apis.run import prepare_config, run_tool, train
import sys
sys.exit(run_tool(lambda: train(prepare_config('small.py', work_dir='work', launcher='pytorch'))))
"""


@pytest.mark.slow
def test_sync_bn_of_two_processes_without_gpu_is_bn_with_one_warning(tmp_path):
    cfg = small('segmentation', tmp_path)
    cfg.train_cfg.max_iters = 1
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.dump(tmp_path / 'small.py')
    (tmp_path / 'train.py').write_text(TRAIN)
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', 'train.py']
    done = subprocess.run(launcher, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / 'work/iter_1.pth').is_file()
    assert len(CONVERTED.findall(done.stdout + done.stderr)) == 1


@pytest.mark.parametrize('task', ['segmentation', 'detection'])
def test_one_device_warns_once_of_sync_bn_and_stops_at_one_image(task, tmp_path, capfd):
    cfg = small(task, tmp_path)
    cfg.train_dataloader.batch_size = 1
    with pytest.raises(ConfigError, match=r'train_dataloader\.batch_size=1 .* 2 or more') as caught:
        train(run_of(cfg, tmp_path, validate=False))
    assert '\n' not in str(caught.value)
    assert len(CONVERTED.findall(''.join(capfd.readouterr()))) == 1


def check(model: nn.Module, images: torch.Tensor, batch_size: int = 1) -> None:
    with refuse_single_images(model, Config(dict(train_dataloader=dict(batch_size=batch_size)))):
        model(images)


def test_only_layers_that_see_one_image_in_training_are_refused():
    model = nn.Sequential(nn.Flatten(0, 1), nn.Unflatten(0, (-1, 3)), nn.BatchNorm2d(3))
    with pytest.raises(ConfigError, match='2 is a batch norm and got one image'):
        check(model, torch.zeros(1, 3, 4, 4))
    check(model, torch.zeros(5, 3, 4, 4))  # regions of one image
    check(model.eval(), torch.zeros(1, 3, 4, 4))
    check(nn.LayerNorm(4), torch.zeros(1, 3, 4, 4))
    assert not model[2]._forward_pre_hooks


def test_a_last_batch_of_one_image_names_the_remedy():
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    with pytest.raises(ConfigError, match=r'batch_size=4 the last batch .*drop_last=True'):
        check(pooled, torch.zeros(1, 3, 4, 4), batch_size=4)


def test_other_errors_pass():
    with pytest.raises(ValueError, match='expected 4D'):
        check(nn.BatchNorm2d(3), torch.zeros(2, 3), batch_size=2)
