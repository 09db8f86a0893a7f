"""One training of an arm: its config, its speed, its length, its cost."""

from __future__ import annotations

import contextlib
import gc
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mim_plugin.apis.compare_methods.options import IMAGE_SIZE, Setting
from mim_plugin.apis.config_errors import explain_build_errors
from mim_plugin.apis.quickstart.options import find_configs
from mim_plugin.apis.quickstart.progress import FileLogRunner, Progress, ProgressHook
from mim_plugin.apis.quickstart.training import loader_processes, set_epochs
from mim_plugin.apis.run import prepare_config
from mim_plugin.errors import ConfigError

__all__ = [
    'BudgetError',
    'Training',
    'arm_config',
    'build_quiet_runner',
    'epochs_within',
    'measure_epoch',
    'now',
    'peak_memory',
    'release',
    'reset_peak_memory',
    'train',
]

PROBE_SECONDS = 8.0  # at most a third of a trial
PROBE_STEPS = 4  # at least, of which the first is not timed
SIZES = ('size', 'target_size', 'global_size', 'local_size')
FIGURES = {'loss': 'loss', 'effective_rank': 'effective rank'}


@dataclass
class Training:
    """A finished training.

    Attributes:
        model: The algorithm.
        figures: JSON values: ``epochs``, ``iterations``, ``images`` (seen), ``seconds``, ``memory_mb``, and
            ``logged``, the means of the last 20 logged values of every loss and figure.
    """

    model: nn.Module
    figures: dict


def arm_config(file: str, setting: Setting, images: Path) -> Config:
    """The config of an arm, fitted to a setting and a folder.

    Args:
        file: Name in ``configs/compare``.
        setting: Image size and changes.
        images: Unlabelled training images.

    Raises:
        ConfigError: A change does not fit the config.
    """
    cfg = prepare_config(str(find_configs('compare') / file))
    factor = setting.image_size / IMAGE_SIZE
    for step in (*cfg.train_dataloader.dataset.pipeline, *cfg.feature_pipeline):
        step.update({key: round(step[key] * factor) for key in SIZES if step.get(key)})
    if 'backbone' in cfg.model:
        cfg.model.backbone.img_size = setting.image_size
    cfg.train_dataloader.dataset.data_root = str(images)
    # The changes come last, so that they hold whatever the setting says.
    return prepare_config(cfg, cfg_options=dict(setting.changes))


class _Enough(Exception):  # noqa: N818  no error: the probe has seen what it wanted
    """Ends a probe."""


class _Probe(Hook):
    """Times iterations, then ends the run."""

    priority = 'VERY_LOW'

    def __init__(self, seconds: float) -> None:
        self.limit = seconds
        self.times: list[float] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Note the time; stop when there are enough."""
        self.times.append(now())
        if len(self.times) >= PROBE_STEPS and self.times[-1] - self.times[0] >= self.limit:
            raise _Enough


def now() -> float:
    """Seconds of a clock, after what the GPU still has to do."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.monotonic()


def measure_epoch(cfg: Config, folder: Path, seconds: float) -> float:
    """Seconds of an epoch, from a few steps of a training that is thrown away.

    Args:
        cfg: Config of the training.
        folder: Work folder, emptied.
        seconds: Length of a training to plan; the measurement takes a third of it or less.
    """
    probe = _Probe(min(PROBE_SECONDS, seconds / 3))
    runner = build_quiet_runner(cfg, folder, 0, probe)
    with contextlib.suppress(_Enough):
        runner.train()
    length = len(runner.train_dataloader)
    release(runner)
    shutil.rmtree(folder, ignore_errors=True)
    return (probe.times[-1] - probe.times[0]) / (len(probe.times) - 1) * length


class BudgetError(ConfigError):
    """The time does not suffice for one epoch."""


def epochs_within(seconds: float, epoch: float, what: str, minutes: float) -> int:
    """Number of epochs that fit into a time.

    Args:
        seconds: The time.
        epoch: Seconds of an epoch.
        what: What is trained, for people.
        minutes: What the user gave, of which the time is a share.

    Raises:
        BudgetError: Not even one does.
    """
    if epoch > seconds:
        raise BudgetError(
            f'{what} may take {seconds:.3g} s, but one epoch takes {epoch:.3g} s on this machine: give --minutes '
            f'{1.1 * minutes * epoch / seconds:.2g} or more, fewer --arms or fewer images.'
        )
    return int(seconds / epoch)


def train(
    cfg: Config, folder: Path, seed: int, epochs: int, lr: float | None, title: str, progress: Progress
) -> Training:
    """Trains once.

    Args:
        cfg: Config of the training.
        folder: Work folder of the Runner, emptied.
        seed: Seed of weights, crops, masks and order.
        epochs: Length; the warm-up keeps its share.
        lr: Learning rate, None for the config's.
        title: What is trained, for people.
        progress: Gets a line every few seconds.

    Raises:
        NonFiniteLossError: The loss became infinite or not a number.
    """
    cfg = Config(cfg.to_dict(), filename=cfg.filename)
    set_epochs(cfg, epochs)
    if lr is not None:
        cfg.optim_wrapper.optimizer.lr = lr
    runner = build_quiet_runner(cfg, folder, seed, ProgressHook(progress, title, FIGURES))
    reset_peak_memory()
    begin = now()
    try:
        runner.train()
        seconds = now() - begin
        scalars = {key: scalar for key, scalar in runner.message_hub.log_scalars.items() if key.startswith('train/')}
        figures = {
            'epochs': epochs,
            'iterations': runner.max_iters,
            'images': runner.max_iters * cfg.train_dataloader.batch_size,
            'seconds': round(seconds, 2),
            'memory_mb': peak_memory(),
            'logged': {key[6:]: float(f'{value.mean(20):.4g}') for key, value in scalars.items()},
        }
        return Training(runner.model, figures)
    finally:
        release(runner)


def build_quiet_runner(cfg: Config, folder: Path, seed: int, *hooks: Hook) -> Runner:
    """A Runner in an emptied folder whose log stays off the console.

    Args:
        cfg: Config of the training; it is not changed.
        folder: Work folder.
        seed: Seed of everything random.
        *hooks: Added to those of the config.
    """
    shutil.rmtree(folder, ignore_errors=True)
    cfg = prepare_config(cfg, work_dir=str(folder))
    cfg.randomness.seed = seed
    cfg.train_dataloader.num_workers = loader_processes()
    # Runs of one name share their logs, and mmengine's names count seconds.
    cfg.experiment_name = f'{folder.name}-{time.time_ns()}'
    if cfg.get('visualizer'):
        cfg.visualizer.pop('name', None)  # it is named after the experiment
    with explain_build_errors(cfg):
        runner = FileLogRunner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def release(runner: Runner) -> None:
    """Let loader processes and optimizer go before the next run is timed."""
    runner.train_dataloader._iterator = None
    runner.optim_wrapper = None
    gc.collect()


def reset_peak_memory() -> None:
    """Start measuring :func:`peak_memory` anew, where the system can."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')


def peak_memory() -> float | None:
    """Peak of this process since :func:`reset_peak_memory` in MB (2^20 bytes): the GPU's if there is one, else RAM.

    Libraries count, loader processes do not. None where the system does not tell.
    """
    if torch.cuda.is_initialized():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    status = Path('/proc/self/status')
    found = re.search(r'VmHWM:\s+(\d+) kB', status.read_text()) if status.is_file() else None
    return round(int(found[1]) / 1024) if found else None
