"""The reader as every part of mmengine uses it."""

import os

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

import mim_plugin.checkpoints
from mim_plugin.errors import CheckpointError


@MODELS.register_module()
class OneNumber(BaseModel):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, mode='loss'):
        return {'loss': ((self.w - torch.stack(list(inputs)).mean()) ** 2).sum()}


@DATASETS.register_module()
class Ones(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {'inputs': torch.ones(1)}


def make_runner(work_dir, epochs=1, **options):
    return Runner.from_cfg(
        Config(
            {
                'model': {'type': 'OneNumber'},
                'work_dir': str(work_dir),
                'default_scope': 'mim_plugin',
                'train_dataloader': {
                    'batch_size': 2,
                    'dataset': {'type': 'Ones'},
                    'sampler': {'type': 'DefaultSampler', 'shuffle': False},
                },
                'train_cfg': {'by_epoch': True, 'max_epochs': epochs},
                'optim_wrapper': {'optimizer': {'type': 'AdamW', 'lr': 0.1}},
                'default_hooks': {'logger': {'type': 'LoggerHook', 'interval': 1}},
                'experiment_name': f'test_{work_dir.name}_{epochs}',
                'log_level': 'ERROR',
                **options,
            }
        )
    )


@pytest.fixture
def strict_torch(monkeypatch):
    """Fail on any unpickling that is not restricted."""
    load = torch.load

    def checked(*args, **kwargs):
        assert kwargs.get('weights_only') is True
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, 'load', checked)


def test_a_run_resumes_from_its_own_checkpoint(tmp_path, strict_torch):
    first = make_runner(tmp_path)
    first.train()
    weight = first.model.w.item()
    second = make_runner(tmp_path, epochs=2, resume=True)
    second.load_or_resume()
    assert second.iter == 2 and second.model.w.item() == weight
    assert second.message_hub.get_scalar('train/loss').data[0].size == 2
    second.train()
    assert second.epoch == 2 and second.model.w.item() != weight


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


def test_load_from_runs_no_code(tmp_path):
    evil = tmp_path / 'evil.pth'
    torch.save({'state_dict': {'w': torch.ones(1)}, 'meta': Touch(tmp_path / 'ran')}, evil)
    with pytest.raises(CheckpointError, match='system'):
        make_runner(tmp_path / 'work', load_from=str(evil)).train()
    assert not (tmp_path / 'ran').exists()


def test_files_from_the_web_are_read_safely_too(tmp_path, monkeypatch):
    calls = []

    def download(address, target, progress):
        calls.append(address)
        torch.save({'state_dict': {'w': torch.ones(1)}, 'x': Touch(tmp_path / 'ran')}, target)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    for _ in range(2):
        with pytest.raises(CheckpointError, match='system'):
            CheckpointLoader.load_checkpoint('https://example.com/a/evil.pth?raw=1', logger='silent')
    assert calls == ['https://example.com/a/evil.pth?raw=1']  # the second time it is there
    assert (tmp_path / 'checkpoints/example.com/a/evil.pth').exists() and not (tmp_path / 'ran').exists()


def test_an_address_without_an_answer(tmp_path):
    with pytest.raises(CheckpointError, match='could not be downloaded'):
        CheckpointLoader._get_checkpoint_loader('http://')('http://127.0.0.1:9/a.pth', model_dir=str(tmp_path))


def test_the_hash_in_the_name_of_a_local_file_is_checked(tmp_path):
    torch.save({'state_dict': {'w': torch.ones(1)}}, tmp_path / 'a-0123abcd.pth')
    for name in (str(tmp_path / 'a-0123abcd.pth'), (tmp_path / 'a-0123abcd.pth').as_uri()):
        with pytest.raises(CheckpointError, match='its name says 0123abcd; .*a file of your own another name'):
            CheckpointLoader.load_checkpoint(name, logger='silent')


def test_models_bring_the_reader_along(fresh_python):
    code = (
        'from mmengine.registry import MODELS, init_default_scope\n'
        "MODELS.get('mim_plugin.IBOT')\n"
        'from mmengine.runner.checkpoint import CheckpointLoader as loader\n'
        "print(loader._get_checkpoint_loader('a.pth').__module__)"
    )
    assert fresh_python('-c', code).stdout.split()[-1] == mim_plugin.checkpoints.read.__name__
