import os
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

import mim_plugin.checkpoints  # noqa: F401  checkpoints are read as the tools read them
from mim_plugin.errors import DataError

SAVE_OFTEN = {'default_hooks.checkpoint': dict(_delete_=True, type='CheckpointHook', by_epoch=False, interval=4)}
NOT_REPEATABLE = ('train/time', 'train/data_time')


class Batches(Hook):
    """Keeps what every iteration was fed with, and can send a signal."""

    def __init__(self, signal_at=None, signum=signal.SIGINT):
        self.signal_at, self.signum, self.batches = signal_at, signum, {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches[runner.iter] = (batch_idx, data_batch['inputs'].clone())
        if runner.iter == self.signal_at:
            os.kill(os.getpid(), self.signum)


def train(runner, **kwargs):
    hook = Batches(**kwargs)
    runner.register_hook(hook)
    runner.train()
    return hook


def assert_equal_trees(ours, reference):
    assert type(ours) is type(reference)
    if isinstance(ours, dict):
        assert ours.keys() == reference.keys()
        for key in ours:
            assert_equal_trees(ours[key], reference[key])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(reference)
        for a, b in zip(ours, reference):
            assert_equal_trees(a, b)
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, reference)
    else:
        assert ours == reference


def assert_same_end(ours, reference):
    """Weights, teacher, centre, optimizer, schedules and logs, bit for bit."""
    assert_equal_trees(dict(ours.model.state_dict()), dict(reference.model.state_dict()))
    assert_equal_trees(ours.optim_wrapper.state_dict(), reference.optim_wrapper.state_dict())
    assert [s.state_dict() for s in ours.param_schedulers] == [s.state_dict() for s in reference.param_schedulers]
    logs = [
        {key: buffer.data[0].tolist() for key, buffer in runner.message_hub.log_scalars.items()}
        for runner in (ours, reference)
    ]
    for log in logs:
        for key in NOT_REPEATABLE:
            log.pop(key)
    assert logs[0] == logs[1] and len(logs[0]['train/loss']) == 15
    assert (ours.epoch, ours.iter) == (reference.epoch, reference.iter) == (3, 15)


def resume(toy_runner, path, changes=None):
    return toy_runner({**(changes or {}), 'load_from': str(path), 'resume': True}, 'resumed')


@pytest.mark.parametrize('seed', [3, None])
@pytest.mark.parametrize(
    ('changes', 'name', 'first'),
    [({}, 'epoch_1.pth', 5), (SAVE_OFTEN, 'iter_8.pth', 8)],
    ids=['end of an epoch', 'middle of an epoch'],
)
def test_a_resumed_run_equals_an_uninterrupted_one(toy_runner, changes, name, first, seed):
    changes = {**changes, 'randomness.seed': seed}
    whole = toy_runner(changes)
    reference = train(whole).batches
    resumed = resume(toy_runner, Path(whole.work_dir) / name, changes)
    batches = train(resumed).batches
    assert list(batches) == list(range(first, 15))
    for step, (idx, inputs) in batches.items():
        assert idx == reference[step][0] and torch.equal(inputs, reference[step][1])
    assert_same_end(resumed, whole)


def test_samplers_without_skip_drop_what_was_done(toy_runner):
    changes = {**SAVE_OFTEN, 'train_dataloader.sampler.type': 'DefaultSampler'}
    whole = toy_runner(changes)
    train(whole)
    resumed = resume(toy_runner, Path(whole.work_dir) / 'iter_8.pth', changes)
    train(resumed)
    assert_same_end(resumed, whole)


def test_workers_get_the_rest_of_the_epoch(toy_runner):
    changes = {**SAVE_OFTEN, 'train_dataloader.dataset.noise': 0.0, 'train_dataloader.num_workers': 2}
    whole = toy_runner(changes)
    reference = train(whole).batches
    batches = train(resume(toy_runner, Path(whole.work_dir) / 'iter_8.pth', changes)).batches
    assert all(torch.equal(batches[step][1], reference[step][1]) for step in range(8, 15))


def test_the_data_set_hears_of_every_epoch(toy_runner):
    whole = toy_runner(SAVE_OFTEN)
    whole.train()
    assert whole.train_dataloader.dataset.epochs == [0, 1, 2]
    resumed = resume(toy_runner, Path(whole.work_dir) / 'iter_8.pth', SAVE_OFTEN)
    resumed.train()
    assert resumed.train_dataloader.dataset.epochs == [1, 2]
    # The seed that a data set without its own takes is that of the run, wherever the epoch starts.
    assert resumed.train_dataloader.dataset.seeds == whole.train_dataloader.dataset.seeds[1:] == [3, 3]


def test_a_changed_batch_size_loses_no_image(toy_runner):
    changes = {**SAVE_OFTEN, 'train_dataloader.drop_last': False}
    first = toy_runner(changes)
    hook = Batches()
    first.register_hook(hook)
    first.train()
    assert len(first.train_dataloader) == 6
    # Iteration 8: 2 batches of 4 into epoch 1. With batches of 2 that is iteration 11 + 4.
    resumed = resume(toy_runner, Path(first.work_dir) / 'iter_8.pth', {**changes, 'train_dataloader.batch_size': 2})
    batches = train(resumed).batches
    assert list(batches) == list(range(11 + 4, 33))
    assert [batches[step][0] for step in (15, 21, 22)] == [4, 10, 0]
    old = [index for index in first.train_dataloader.dataset.seen[22 : 22 + 8]]
    new = resumed.train_dataloader.dataset.seen[:14]
    assert sorted(old + new) == list(range(22))
    assert len(resumed.model.momenta) == 18 and resumed.iter == 33
    assert resumed.param_schedulers[0].state_dict() == {'step': 33}


def stopped(runner, code=130, **kwargs):
    with pytest.raises(SystemExit) as error:
        train(runner, **kwargs)
    assert error.value.code == code
    return Path((Path(runner.work_dir) / 'last_checkpoint').read_text())


@pytest.mark.parametrize(('signum', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_step(toy_runner, capfd, signum, code):
    whole = toy_runner()
    train(whole)
    runner = toy_runner(work_dir='stopped')
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    path = stopped(runner, code, signal_at=6, signum=signum)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert path.name == 'interrupted_iter_7.pth'
    assert (
        torch.load(path, weights_only=False)['meta'] | {'epoch': 1, 'iter': 7}
        == torch.load(path, weights_only=False)['meta']
    )
    output = capfd.readouterr()
    assert f'Stopped after iteration 7 (epoch 2 of 3); the same command with --resume goes on from {path}' in output.out
    assert 'Ctrl-C again stops at once' in output.err
    resumed = resume(toy_runner, path)
    resumed.train()
    assert_same_end(resumed, whole)


def test_an_accumulation_is_finished_first(toy_runner):
    changes = {'optim_wrapper.accumulative_counts': 2}
    whole = toy_runner(changes)
    train(whole)
    path = stopped(toy_runner(changes, 'stopped'), signal_at=6)
    assert path.name == 'interrupted_iter_8.pth'
    resumed = resume(toy_runner, path, changes)
    resumed.train()
    assert_same_end(resumed, whole)


def test_at_the_last_step_of_an_epoch_the_epoch_is_finished(toy_runner):
    whole = toy_runner()
    train(whole)
    runner = toy_runner(work_dir='stopped')
    path = stopped(runner, signal_at=9)
    assert path.name == 'interrupted_iter_10.pth' and (path.parent / 'epoch_2.pth').exists()
    assert torch.load(path, weights_only=False)['meta']['epoch'] == 2
    resumed = resume(toy_runner, path)
    resumed.train()
    assert_same_end(resumed, whole)


def test_at_the_last_step_of_the_run_there_is_nothing_to_stop(toy_runner):
    runner = toy_runner()
    train(runner, signal_at=14)
    assert runner.epoch == 3 and not list(Path(runner.work_dir).glob('interrupted*'))


def test_a_second_ctrl_c_stops_at_once(toy_runner):
    class Twice(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    runner = toy_runner()
    runner.register_hook(Twice())
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert not list(Path(runner.work_dir).glob('*.pth'))


def test_nothing_is_saved_after_a_broken_loss(toy_runner):
    from mim_plugin.errors import NonFiniteLossError

    runner = toy_runner({'model.break_at': 6})
    with pytest.raises(NonFiniteLossError, match='iteration 7'):
        train(runner, signal_at=6)
    assert [path.name for path in Path(runner.work_dir).glob('*.pth')] == ['epoch_1.pth']


def test_fewer_images_than_a_batch_are_an_error(toy_runner):
    runner = toy_runner({'train_dataloader.batch_size': 1000, 'train_dataloader.drop_last': True})
    with pytest.raises(DataError, match='has no full batch of 1000; lower train_dataloader.batch_size'):
        runner.train()
