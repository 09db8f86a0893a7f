"""Two real processes with n images each do what one process does with 2n."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.testing.images import write_image_folder

ROOT = Path(__file__).parents[2]
# Two steps, one an epoch: the last layer is frozen in the first, the clip is active in both.
OPTIONS = ['--cfg-options', 'train_cfg.max_epochs=2']


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> tuple[dict, dict, str]:
    folder = tmp_path_factory.mktemp('distributed')
    write_image_folder(folder / 'images', per_class=2)
    shutil.copy(ROOT / 'tests/data/ibot_tiny.py', folder)
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'PORT': str(free_port())}
    env['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{env["PATH"]}'

    def run(work_dir: str, *command: str) -> tuple[dict, str]:
        arguments = [*map(str, command), '--work-dir', work_dir, *OPTIONS]
        arguments.append(f'train_dataloader.batch_size={2 if "two" in work_dir else 4}')
        done = subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return read_checkpoint(str(folder / work_dir / 'epoch_2.pth')), done.stdout + done.stderr

    two, log = run('two', 'bash', ROOT / 'tools/dist_train.sh', 'ibot_tiny.py', 2)
    one, _ = run('one', sys.executable, ROOT / 'tools/train.py', 'ibot_tiny.py')
    return one, two, log


def assert_close(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], prefix: str, atol: float) -> None:
    names = [name for name in one if name.startswith(prefix)]
    assert names
    assert one.keys() == two.keys()
    for name in names:
        torch.testing.assert_close(
            two[name], one[name], atol=atol, rtol=1e-5, msg=lambda text, name=name: f'{name}: {text}'
        )


def test_processes_talk_over_gloo(runs):
    assert 'process 0 of 2 over gloo' in runs[2]


def test_both_runs_did_two_steps(runs):
    assert [run['meta']['iter'] for run in runs[:2]] == [2, 2]


@pytest.mark.parametrize('part', ['backbone.', 'head.', 'tokenizer.backbone.', 'tokenizer.head.'])
def test_parameters_of_student_and_teacher(runs, part):
    assert_close(runs[0]['state_dict'], runs[1]['state_dict'], part, atol=1e-6)


def test_centres(runs):
    centers = runs[0]['state_dict']['loss_module.center']
    assert centers.abs().max() > 1e-3
    assert_close(runs[0]['state_dict'], runs[1]['state_dict'], 'loss_module.center', atol=1e-6)


def test_gradients(runs):
    """With momentum SGD the buffers are sums of clipped gradients."""
    one, two = (run['optimizer']['state'] for run in runs[:2])
    assert one.keys() == two.keys()
    for index, state in one.items():
        gradient = state['momentum_buffer']
        torch.testing.assert_close(two[index]['momentum_buffer'], gradient, atol=1e-6, rtol=1e-4)
