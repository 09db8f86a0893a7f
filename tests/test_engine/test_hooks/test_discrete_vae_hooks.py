"""Schedules and pictures of a discrete autoencoder in training."""

import logging
import math
from types import SimpleNamespace

import pytest
import torch

from mim_plugin.engine.hooks import DiscreteVAEScheduleHook, ReconstructionHook
from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS


class Run:
    """What a schedule sees of a Runner."""

    def __init__(self, max_iters):
        self.max_iters, self.iter = max_iters, 0
        self.model = torch.nn.Module()
        self.warnings, self.scalars = [], {}
        self.logger = SimpleNamespace(warning=self.warnings.append)
        self.message_hub = SimpleNamespace(update_scalar=self.scalars.__setitem__)

    def values(self, hook):
        hook.before_train(self)
        rows = []
        for self.iter in range(self.max_iters):
            hook.before_train_iter(self, self.iter)
            rows.append((self.model.temperature, self.model.kl_weight))
        return rows


def test_both_schedules_are_cosines_of_the_iteration():
    run = Run(100)
    rows = run.values(DiscreteVAEScheduleHook(temperature_iters=80, kl_weight=6.6, kl_iters=20))
    for i, (temperature, weight) in enumerate(rows):
        part = 0.5 + 0.5 * math.cos(math.pi * i / 80) if i < 80 else 0
        assert temperature == pytest.approx(1 / 16 + (1 - 1 / 16) * part)
        part = 0.5 - 0.5 * math.cos(math.pi * i / 20) if i < 20 else 1
        assert weight == pytest.approx(6.6 * part)
    assert not run.warnings
    assert run.scalars == {'train/temperature': 1 / 16, 'train/kl_weight': 6.6}


def test_lengths_default_to_shares_of_the_run_and_are_cut_to_it():
    rows = Run(40).values(DiscreteVAEScheduleHook())
    assert rows[29][0] > 1 / 16 == rows[30][0] and rows[9][1] < 6.6 == rows[10][1]
    run = Run(4)
    rows = run.values(DiscreteVAEScheduleHook(temperature_iters=150_000, kl_iters=5_000))
    assert rows[-1][0] < 0.3 and rows[-1][1] > 5
    assert len(run.warnings) == 2 and 'for 150000 iterations, but the run has 4' in run.warnings[0]


def test_impossible_intervals_are_refused():
    with pytest.raises(ConfigError, match='interval=0'):
        ReconstructionHook(interval=0)


def test_every_code_of_the_epoch_is_counted(tmp_path):
    counted = torch.tensor([3.0, 0.0, 1.0, 0.0])
    shown, scalars = [], {}
    model = torch.nn.Module()
    model.reset_code_counts = lambda: counted
    run = SimpleNamespace(
        model=model,
        epoch=0,
        max_epochs=9,
        work_dir=str(tmp_path),
        logger=logging.getLogger('test'),
        message_hub=SimpleNamespace(update_scalar=scalars.__setitem__),
        visualizer=SimpleNamespace(add_scalars=lambda figures, step: shown.append((figures, step))),
    )
    hook = ReconstructionHook(interval=5)
    hook.before_train_epoch(run)
    hook.after_train_epoch(run)
    assert scalars['epoch/codes_used'] == 50
    assert scalars['epoch/perplexity'] == pytest.approx(4 / 3**0.75)
    assert shown == [(scalars, 1)]
    assert not list(tmp_path.iterdir())


def test_no_step_waits_for_the_device(count_reads):
    network = dict(type='StridedDVAE', vocabulary_size=8, codebook_dim=4, num_layers=1, hidden_dim=4, out_channels=6)
    model = MODELS.build(dict(type='DiscreteVAE', network=network))
    images = torch.rand(2, 3, 4, 4)
    with count_reads() as reads:
        model(images, mode='loss')
    assert reads == []
