import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from mim_plugin.engine.hooks import DeviceRuntimeInfoHook
from mim_plugin.engine.hooks.device_runtime_info import _Step, _to_host
from mim_plugin.errors import NonFiniteLossError

NOT_REPEATABLE = ('time', 'data_time', 'memory')


def histories(runner):
    scalars = runner.message_hub.log_scalars
    return {
        key: [part.tolist() for part in buffer.data]
        for key, buffer in scalars.items()
        if key.removeprefix('train/') not in NOT_REPEATABLE
    }


def logged(runner):
    (path,) = Path(runner.work_dir).glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in NOT_REPEATABLE} for line in lines]


@pytest.mark.parametrize('interval', [1, 3, 7])
def test_same_logs_as_mmengines_hook(toy_runner, interval):
    shared = {
        'default_hooks.logger.interval': interval,
        'optim_wrapper.clip_grad': dict(_delete_=True, max_norm=0.3),
        # Without FreezeLastLayerHook, which mmengine's wrapper does not know.
        'custom_hooks': [
            dict(type='MomentumTeacherHook', momentum=0.9),
            dict(type='SelfDistillationScheduleHook', warmup_epochs=2),
        ],
    }
    theirs = {'default_hooks.runtime_info.type': 'RuntimeInfoHook', 'optim_wrapper.type': 'OptimWrapper'}
    runs = toy_runner(shared, 'ours'), toy_runner({**shared, **theirs}, 'theirs')
    for runner in runs:
        runner.train()
    ours, reference = map(histories, runs)
    assert ours == reference and {'train/loss', 'train/acc', 'train/grad_norm', 'train/lr'} <= set(ours)
    ours, reference = map(logged, runs)
    assert ours == reference and len(ours) >= 3
    assert all(isinstance(line['loss'], float) for line in ours)


class Marks(Hook):
    """Positions in the list of reads before and after every iteration."""

    priority = 'HIGHEST'

    def __init__(self, reads):
        self.reads, self.start, self.iterations = reads, 0, []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.start = len(self.reads)


class MarksEnd(Hook):
    priority = 'LOWEST'

    def __init__(self, marks):
        self.marks = marks

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.marks.iterations.append(self.marks.reads[self.marks.start :])


def test_one_transfer_a_log_interval(toy_runner, count_reads):
    # SGD: AdamW reads its own step counters, which lie on the host.
    runner = toy_runner({'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.01, weight_decay=0.04)})
    with count_reads() as reads:
        marks = Marks(reads)
        runner.register_hook(marks)
        runner.register_hook(MarksEnd(marks))
        runner.train()
    # loss, loss_cls, acc and grad_norm: 3 steps when the logger prints, 2 at the end of the epoch, in one read each.
    assert marks.iterations == [[], [], [('tolist', 12)], [], [('tolist', 8)]] * 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device, and MIM_TEST_GPU=1')
def test_no_wait_for_the_gpu_between_logs(toy_runner):
    class Strict(Hook):
        priority = 'HIGHEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            # The batch itself comes from pageable memory: its copy waits.
            data_batch['inputs'] = data_batch['inputs'].cuda()
            torch.cuda.set_sync_debug_mode('default' if (batch_idx + 1) % 3 == 0 or batch_idx == 4 else 'error')

    class Lax(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            torch.cuda.set_sync_debug_mode('default')

    runner = toy_runner()
    runner.register_hook(Strict())
    runner.register_hook(Lax())
    runner.train()
    assert len(histories(runner)['train/loss'][0]) == 15


def saved(runner):
    return sorted(path.name for path in Path(runner.work_dir).glob('*.pth'))


@pytest.mark.parametrize('interval', [3, 100])
def test_a_broken_loss_stops_the_run(toy_runner, interval):
    runner = toy_runner({'model.break_at': 7, 'default_hooks.logger.interval': interval})
    with pytest.raises(NonFiniteLossError, match=r'loss became nan at iteration 8 \(epoch 2\); .*epoch_1\.pth, resume'):
        runner.train()
    assert saved(runner) == ['epoch_1.pth']
    values = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(values) == 8 and np.isnan(values[-1])


def test_a_broken_loss_before_any_checkpoint(toy_runner):
    runner = toy_runner({'model.break_at': 1, 'model.break_by': float('inf')})
    with pytest.raises(NonFiniteLossError, match='inf at iteration 2 .*no checkpoint was saved before it'):
        runner.train()
    assert saved(runner) == []


class Breaks(Hook):
    """Breaks a weight after iteration 10: no loss has seen it when the epoch ends."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 9:
            runner.model.head.mlp.bias.data[0] = float('nan')


@pytest.mark.parametrize(
    ('saver', 'left'),
    [
        (dict(type='CheckpointHook', interval=1, max_keep_ckpts=1), ['epoch_1.pth']),
        (dict(type='CheckpointHook', by_epoch=False, interval=5, max_keep_ckpts=1), ['iter_5.pth']),
    ],
)
def test_broken_weights_replace_no_checkpoint(toy_runner, saver, left):
    runner = toy_runner({'default_hooks.checkpoint': dict(saver, _delete_=True)})
    runner.register_hook(Breaks(), priority='HIGHEST')
    with pytest.raises(NonFiniteLossError, match=rf'after iteration 10, first head.mlp.bias; .*{left[0]}, resume'):
        runner.train()
    assert saved(runner) == left
    with pytest.raises(NonFiniteLossError):
        runner.save_checkpoint(runner.work_dir, 'asked_for.pth')
    assert saved(runner) == left


class Saves(Hook):
    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 6:
            runner.save_checkpoint(runner.work_dir, 'middle.pth', by_epoch=False)


def test_a_checkpoint_holds_all_figures_up_to_it(toy_runner):
    runner = toy_runner({'default_hooks.logger.interval': 100})
    runner.register_hook(Saves())
    runner.train()
    checkpoint = torch.load(Path(runner.work_dir) / 'middle.pth', weights_only=False)
    assert checkpoint['meta']['iter'] == 7
    whole = runner.message_hub.get_scalar('train/loss').data[0]
    assert checkpoint['message_hub']['log_scalars']['train/loss'].data[0].tolist() == whole[:7].tolist()


def test_kinds_of_values():
    count = torch.tensor(2**40 + 1)
    buffer = torch.tensor([0.1])
    steps = [
        _Step(0, 0, {'a': buffer, 'count': count, 'plain': 3}),
        _Step(0, 1, {'a': torch.tensor(0.2, dtype=torch.float16), 'plain': 4.5}),
        _Step(0, 2, {'plain': 5}),
    ]
    buffer.fill_(9.0)
    stacks = [step.tensors for step in steps if step.tensors is not None]
    assert _to_host(stacks) == [
        torch.tensor(0.1).item(),
        2**40 + 1,
        torch.tensor(0.2, dtype=torch.float16).item(),
    ]
    assert [list(step.figures.values()) for step in steps] == [[None, None, 3], [None, 4.5], [5]]
    assert _to_host([]) == []


def test_the_graph_of_a_loss_is_not_kept():
    weight = torch.ones(3, requires_grad=True)
    assert not _Step(0, 0, {'loss': (weight**2).sum()}).tensors.requires_grad


def test_vectors_are_refused():
    with pytest.raises(ValueError, match="'scores' of train_step has shape"):
        _Step(0, 0, {'scores': torch.zeros(2)})


def test_no_arguments():
    assert DeviceRuntimeInfoHook().priority == 'VERY_HIGH'
