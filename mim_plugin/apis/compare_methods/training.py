"""One training of an arm: its config, its speed, its length, its cost."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mim_plugin.apis.compare_methods.options import IMAGE_SIZE, Setting
from mim_plugin.apis.long_commands.machine import now
from mim_plugin.apis.long_commands.options import find_configs
from mim_plugin.apis.long_commands.progress import Progress, ProgressHook
from mim_plugin.apis.long_commands.runs import build_quiet_runner, release, set_epochs, train_measured
from mim_plugin.apis.run import prepare_config
from mim_plugin.errors import ConfigError

__all__ = [
    'BudgetError',
    'Training',
    'arm_config',
    'epochs_within',
    'measure_epoch',
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
    try:
        figures = {'epochs': epochs, **train_measured(runner)}
        scalars = {key: scalar for key, scalar in runner.message_hub.log_scalars.items() if key.startswith('train/')}
        figures['logged'] = {key[6:]: float(f'{value.mean(20):.4g}') for key, value in scalars.items()}
        return Training(runner.model, figures)
    finally:
        release(runner)
