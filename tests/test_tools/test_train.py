"""tools/train.py as a user types it."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import MIMError

ROOT = Path(__file__).parents[2]
CONFIG = 'my_configs/ibot_tiny.py'


@pytest.fixture
def train(workplace, monkeypatch):
    """The tool's main in this process: what matters is the parsing and what follows from it."""
    monkeypatch.chdir(workplace)
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools/train.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return lambda *arguments: tool.main([*arguments, f'experiment_name={os.urandom(4).hex()}'])


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(str(path))['state_dict']


def assert_equal_runs(one: Path, other: Path) -> None:
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_trains_from_any_directory_and_resumes_by_itself(call, train, workplace, capfd):
    done = call('train.py', CONFIG)
    assert done.returncode == 0, done.stderr[-2000:]
    work_dir = workplace / 'work_dirs/ibot_tiny'
    assert (work_dir / 'epoch_2.pth').is_file()
    assert (work_dir / 'ibot_tiny.py').is_file()

    train(CONFIG, '--resume', '--cfg-options', 'train_cfg.max_epochs=3')
    log = ''.join(capfd.readouterr())
    assert 'Epoch(train) [3][1/2]' in log
    assert 'Epoch(train) [2][1/2]' not in log


def test_resume_of_a_file_equals_the_uninterrupted_run(train, workplace):
    train(CONFIG, '--work-dir', 'whole', '--cfg-options')
    train(CONFIG, '--work-dir', 'second', '--resume', 'whole/epoch_1.pth', '--cfg-options')
    assert_equal_runs(workplace / 'whole/epoch_2.pth', workplace / 'second/epoch_2.pth')


def test_starts_from_other_weights_or_says_why_not(train, workplace):
    # Nothing is learned, so that the weights at the end are those at the start.
    still = ['optim_wrapper.optimizer.lr=1e-20', 'optim_wrapper.optimizer.weight_decay=0', 'custom_hooks.0.momentum=1']
    still += ['param_scheduler.0.eta_min=0', 'train_cfg.max_epochs=1']
    train(CONFIG, '--work-dir', 'first', '--cfg-options', 'train_cfg.max_epochs=1')
    source = workplace / 'first/epoch_1.pth'
    train(CONFIG, '--work-dir', 'second', '--cfg-options', f'load_from={source}', *still)
    first, second = weights(source), weights(workplace / 'second/epoch_1.pth')
    for name in ('backbone.cls_token', 'tokenizer.backbone.cls_token', 'head.mlp.0.weight'):
        assert torch.equal(first[name], second[name])

    wider = 'model.backbone.arch.embed_dims=32'
    with pytest.raises(MIMError, match='epoch_1.pth'):
        train(CONFIG, '--work-dir', 'third', '--cfg-options', f'load_from={source}', wider)


def test_ctrl_c_saves_and_resume_equals_the_uninterrupted_run(train, workplace):
    long = ['--cfg-options', 'train_cfg.max_epochs=9', 'default_hooks.checkpoint.interval=9']
    train(CONFIG, '--work-dir', 'whole', *long)
    command = [sys.executable, str(ROOT / 'tools/train.py'), CONFIG, '--work-dir', 'cut', *long]
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if 'Epoch(train) [1][1/2]' in line:
            process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130, ''.join(lines[-20:])
    assert sum('--resume goes on from' in line for line in lines) == 1

    train(CONFIG, '--work-dir', 'cut', '--resume', *long)
    assert_equal_runs(workplace / 'whole/epoch_9.pth', workplace / 'cut/epoch_9.pth')


def test_amp_without_gpu_trains_in_bfloat16(train, workplace):
    train(CONFIG, '--work-dir', 'amp', '--amp', '--cfg-options', 'train_cfg.max_epochs=1')
    train(CONFIG, '--work-dir', 'full', '--cfg-options', 'train_cfg.max_epochs=1')
    amp, full = weights(workplace / 'amp/epoch_1.pth'), weights(workplace / 'full/epoch_1.pth')
    assert all(value.dtype == torch.float32 for value in amp.values() if value.is_floating_point())
    name = 'backbone.layers.0.attn.qkv.weight'
    assert not amp[name].equal(full[name])
    assert torch.allclose(amp[name], full[name], atol=5e-3)


def test_overrides_and_lr_scaling(train, workplace):
    options = ['optim_wrapper.optimizer.lr=0.02', 'train_dataloader.batch_size=2', 'train_cfg.max_epochs=1']
    train(CONFIG, '--work-dir', 'scaled', '--auto-scale-lr', '--cfg-options', *options)
    groups = read_checkpoint(str(workplace / 'scaled/epoch_1.pth'))['optimizer']['param_groups']
    assert groups[0]['initial_lr'] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--resume', '--cfg-options'], r'--resume found no checkpoint in work_dirs/ibot_tiny'),
        (['--resume', 'gone.pth', '--cfg-options'], 'there is no such file'),
        (['--cfg-options', 'optim_wraper.type=X'], "did you mean 'optim_wrapper'"),
        (['--cfg-options', 'model.type=IBOOT'], r"'IBOOT' \(config key model\).*'IBOT'"),
        (['--cfg-options', 'model.head.bottlenek_dim=8'], "no argument 'bottlenek_dim'.*'bottleneck_dim'"),
        (['--cfg-options', 'train_dataloader.dataset.type=UnlabeledImages'], "'UnlabelledImages'"),
        (['--cfg-options', 'train_dataloader.dataset.data_root=gone'], 'gone'),
        (['--cfg-options', 'custom_hooks.0.momentm=0.9'], r'\(config key custom_hooks.0\).*momentum'),
    ],
)
def test_a_mistake_is_one_clear_message(train, arguments, message):
    with pytest.raises(MIMError, match=message) as caught:
        train(CONFIG, *arguments)
    assert '\n' not in str(caught.value)


def test_a_mistake_is_printed_without_traceback(call):
    done = call('train.py', 'my_configs/gone.py')
    assert done.returncode == 2
    assert done.stderr == 'error: There is no config my_configs/gone.py.\n'
