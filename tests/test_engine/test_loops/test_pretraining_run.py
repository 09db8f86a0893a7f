"""Small runs with the real data path: stopped in mid-epoch and resumed, they end as if nothing had happened."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

import mim_plugin.checkpoints  # noqa: F401  checkpoints are read as the tools read them

_numbers = itertools.count()
OPTIONS = {'ibot': {'train_dataloader.dataset.pipeline.2.pred_start_epoch': 1}, 'beit': {}}


class Watch(Hook):
    """Share of hidden patches of every iteration; stops like Ctrl-C when asked."""

    def __init__(self, stop_at=None):
        self.stop_at, self.hidden = stop_at, {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.hidden[runner.iter] = float(torch.cat(data_batch['inputs']['mask']).float().mean())
        if runner.iter == self.stop_at:
            runner.train_loop.interruption.signum = 2


def train(method, folder, name, workers, stop_at=None, load_from=None):
    cfg = Config.fromfile(Path(__file__).parents[2] / 'data' / f'{method}_tiny.py')
    cfg.merge_from_dict(
        {
            'work_dir': str(folder / name),
            'experiment_name': f'{method}_run_{next(_numbers)}',
            'train_dataloader.num_workers': workers,
            'train_dataloader.persistent_workers': workers > 0,
            'train_dataloader.dataset.data_root': str(folder / 'images'),
            'train_dataloader.dataset.seed': None,
            'model.backbone.drop_path_rate': 0.3,
            'optim_wrapper.optimizer': dict(_delete_=True, type='AdamW', lr=0.01, weight_decay=0.04),
            'optim_wrapper.type': 'MIMAmpOptimWrapper',
            'log_level': 'WARNING',
            'load_from': load_from,
            'resume': load_from is not None,
            **OPTIONS[method],
        }
    )
    runner = Runner.from_cfg(cfg)
    watch = Watch(stop_at)
    runner.register_hook(watch)
    if stop_at is None:
        runner.train()
    else:
        with pytest.raises(SystemExit):
            runner.train()
    return runner, watch.hidden


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'images').mkdir()
    rng = np.random.default_rng(0)
    for number in range(21):
        pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'images' / f'{number:02d}.png')
    return tmp_path


@pytest.mark.parametrize(('method', 'loss'), [('ibot', 'loss_patch'), ('beit', 'loss_mim')])
def test_stop_and_resume(folder, method, loss):
    whole, hidden = train(method, folder, 'whole', workers=2)
    if method == 'ibot':
        # Workers that live through the whole run hear of the epoch in which patches are hidden.
        assert [share > 0 for share in hidden.values()] == [False] * 5 + [True] * 5
    stopped, _ = train(method, folder, 'stopped', workers=2, stop_at=6)
    assert stopped.iter == 7
    # Neither the place nor the number of workers leaves a trace.
    path = folder / 'stopped' / 'interrupted_iter_7.pth'
    resumed, rest = train(method, folder, 'resumed', workers=0, load_from=str(path))
    assert rest == {step: hidden[step] for step in range(7, 10)}
    reference = whole.model.state_dict()
    if method == 'ibot':
        assert 'loss_module.center' in reference and 'tokenizer.head.last_layer.weight_v' in reference
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, reference[name]), name
    losses = [run.message_hub.get_scalar(f'train/{loss}').data[0].tolist() for run in (resumed, whole)]
    assert losses[0] == losses[1] and len(losses[0]) == 10
