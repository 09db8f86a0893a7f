"""One process of test_processes.py: ``run_process.py alone|pair FOLDER``."""

import os
import signal
import sys
import time
from pathlib import Path

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from tests.test_engine.toys import toy_config

PAIR = {
    'train_dataloader.dataset.size': 60,  # 7 batches an epoch and process
    'train_cfg.stop_interval': 3,
    'train_cfg.max_epochs': 2,
    'launcher': 'pytorch',
    'model_wrapper_cfg': dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None),
    'randomness.diff_rank_seed': True,
}


class Says(Hook):
    """Tells the parent process where the run is."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        print(f'iteration {runner.iter}', flush=True)
        time.sleep(0.05)


class SignalsOnce(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 10 and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def make_runner(folder, name, changes):
    cfg = toy_config(folder / name, changes)
    cfg.experiment_name = name
    return Runner.from_cfg(cfg)


def run_alone(folder):
    changes = {'train_dataloader.num_workers': 2, 'train_dataloader.dataset.size': 400}
    runner = make_runner(folder, 'alone', changes)
    runner.register_hook(Says())
    runner.train()


def run_pair(folder):
    """Uninterrupted run, interrupted run, its continuation: the ends are equal on both processes."""
    torch.distributed.init_process_group('gloo')
    whole = make_runner(folder, 'whole', PAIR)
    whole.train()
    stopped = make_runner(folder, 'stopped', PAIR)
    stopped.register_hook(SignalsOnce())
    try:
        stopped.train()
    except SystemExit as error:
        assert error.code == 143
    # Iteration 10 is batch 3 of the second epoch; agreed after batch 5, that is after iteration 12.
    path = folder / 'stopped' / 'interrupted_iter_13.pth'
    assert stopped.iter == 13 and path.exists(), stopped.iter
    resumed = make_runner(folder, 'resumed', {**PAIR, 'load_from': str(path), 'resume': True})
    resumed.train()
    assert resumed.iter == whole.iter == 14
    reference = whole.model.state_dict()
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, reference[name]), name
    # As tools do it: who leaves early breaks the connection under a process that still works.
    dist.barrier()
    torch.distributed.destroy_process_group()
    # Threads of gloo that torch leaves to the end of the interpreter have aborted it once, after all was done.
    sys.stdout.flush()
    os._exit(0)


if __name__ == '__main__':
    {'alone': run_alone, 'pair': run_pair}[sys.argv[1]](Path(sys.argv[2]))
