"""MomentumTeacherHook, SelfDistillationScheduleHook and FreezeLastLayerHook in a run."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel

from mim_plugin.engine.hooks import FreezeLastLayerHook, MomentumTeacherHook, SelfDistillationScheduleHook
from mim_plugin.engine.optim import cosine_schedule, temperature_schedule


def test_momentum_follows_the_cosine(toy_runner):
    model = toy_runner().train()
    assert model.momenta == cosine_schedule(0.9, 1.0, 15).tolist()


def test_teacher_moves_once_an_optimizer_step(toy_runner):
    runner = toy_runner({'optim_wrapper.accumulative_counts': 2})
    model = runner.train()
    # Iterations 1, 3, ... and the last one, which ends a half-full accumulation.
    table = cosine_schedule(0.9, 1.0, 15).tolist()
    assert model.momenta == [*table[1::2], table[14]]


def test_temperatures_of_every_epoch(toy_runner):
    cls, patch = temperature_schedule(0.04, 0.07, 2, 3), temperature_schedule(0.03, 0.06, 2, 3, 1)
    runner = toy_runner(
        {
            'custom_hooks': [
                dict(type='MomentumTeacherHook', momentum=0.9),
                dict(
                    type='SelfDistillationScheduleHook',
                    warmup_epochs=2,
                    warmup_teacher_patch_temp=0.03,
                    teacher_patch_temp=0.06,
                    pred_start_epoch=1,
                ),
            ]
        }
    )
    temps = runner.train().temps
    assert temps == [(cls[epoch], patch[epoch]) for epoch in range(3) for _ in range(5)]


class Log:
    def __init__(self):
        self.warnings = []

    def warning(self, text):
        self.warnings.append(text)


class Stand:
    """What a hook sees of a runner."""

    def __init__(self, max_epochs):
        self.max_epochs, self.logger = max_epochs, Log()


@pytest.mark.parametrize(('epochs', 'start', 'warnings'), [(10, 0, 0), (4, 0, 1), (4, 2, 1), (4, 9, 1), (5, 1, 0)])
def test_a_ramp_longer_than_the_run_is_cut_with_one_warning(epochs, start, warnings):
    hook = SelfDistillationScheduleHook(warmup_epochs=5 if start != 1 else 4, pred_start_epoch=start)
    runner = Stand(epochs)
    hook.before_train(runner)
    assert len(runner.logger.warnings) == warnings
    assert [len(table) for table in hook.tables] == [epochs, epochs]
    assert hook.tables[0][-1] == pytest.approx(0.07)
    assert hook.tables[1][-1] == pytest.approx(0.04 if start >= epochs else 0.07)


class Recorder(Hook):
    priority = 'LOWEST'

    def __init__(self):
        self.states = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        last = runner.model.head.last_layer.weight
        state = runner.optim_wrapper.optimizer.state
        self.states.append((last.detach().clone(), last in state, runner.model.head.mlp.weight in state))


def test_last_layer_rests_in_the_first_epoch(toy_runner):
    recorder = Recorder()
    runner = toy_runner()
    runner.register_hook(recorder)
    start = runner.model.head.last_layer.weight.detach().clone()
    runner.train()
    weights = [state[0] for state in recorder.states]
    assert all(torch.equal(weight, start) for weight in weights[:5])
    assert not torch.equal(weights[5], weights[4]) and not torch.equal(weights[6], weights[5])
    assert [state[1] for state in recorder.states[:6]] == [False] * 5 + [True]
    assert all(state[2] for state in recorder.states)


def test_hooks_look_through_the_distributed_wrapper(toy_runner, tmp_path):
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        runner = toy_runner()
        plain = runner.model
        runner.model = MMDistributedDataParallel(plain, broadcast_buffers=False)
        runner.train()
    finally:
        torch.distributed.destroy_process_group()
    assert plain.momenta == cosine_schedule(0.9, 1.0, 15).tolist()
    assert len({temps for temps in plain.temps}) == 2
    assert isinstance(runner.model, MMDistributedDataParallel)


def test_defaults_are_the_published_ones():
    teacher, freeze = MomentumTeacherHook(), FreezeLastLayerHook()
    assert (teacher.momentum, teacher.end, freeze.epochs, freeze.name) == (0.996, 1.0, 1, 'last_layer')
