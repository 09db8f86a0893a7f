"""One training: fitted to the data, validated, loaded again as tools/test.py does."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mim_plugin.apis.config_errors import read_config
from mim_plugin.apis.downstream_smoke.data import fit_config
from mim_plugin.apis.downstream_smoke.options import STARTS, Task
from mim_plugin.apis.downstream_smoke.predictions import predicted_classes, save_objects
from mim_plugin.apis.long_commands.options import find_configs
from mim_plugin.apis.long_commands.progress import ProgressHook
from mim_plugin.apis.long_commands.runs import build_quiet_runner, release, train_measured
from mim_plugin.apis.run import find_last_checkpoint, prepare_config, test
from mim_plugin.errors import MIMError

if TYPE_CHECKING:
    from mim_plugin.apis.downstream_smoke.job import Smoke

__all__ = ['FinalMetrics', 'percent', 'run_test', 'task_config', 'train']

# What the pictures need besides the masks that mmseg's metric writes.
LOOKS = {'imagenet_like': predicted_classes, 'coco_mini': save_objects}
TOLERANCE = {'cpu': 0.0, 'cuda': 0.1}  # percent; a GPU may choose other kernels for the same convolution


class FinalMetrics(Hook):
    """Keeps the last metrics of the validation, and ends the training when they pass a goal.

    Args:
        goal: Metric -> value that it must pass, together with all others; empty never ends a training.
    """

    def __init__(self, goal: Mapping[str, float]) -> None:
        self.goal = goal
        self.metrics: dict[str, float] = {}

    @property
    def reached(self) -> bool:
        """Whether the last metrics pass the goal."""
        return all(self.metrics.get(name, 0.0) > value for name, value in self.goal.items())

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the metrics; look at the goal."""
        self.metrics = dict(metrics or {})
        if self.goal and self.reached:
            runner.train_loop.stop_training = True


def task_config(smoke: Smoke, task: Task, start: str, folder: Path) -> Config:
    """The config of a training.

    Args:
        smoke: What all parts share.
        task: The task.
        start: 'pretrained' or 'random'.
        folder: Work folder of the training.
    """
    cfg = fit_config(read_config(str(find_configs('smoke') / task.config)), task, smoke.data, folder)
    if smoke.options.iterations is not None:
        _set_iterations(cfg, smoke.options.iterations)
    if task.goal:
        # A training may end after any validation: what was validated must be in a checkpoint.
        cfg.default_hooks.checkpoint.interval = cfg.train_cfg.val_interval
    # The start is all that differs.
    file = str(smoke.options.checkpoint)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=file) if start == 'pretrained' else None
    return cfg


def _set_iterations(cfg: Config, iterations: int) -> None:
    """Changes the length of a training; the warm-up keeps its share of it."""
    factor = iterations / cfg.train_cfg.max_iters

    def scaled(step: int) -> int:
        return max(1, round(step * factor)) if step else 0

    cfg.train_cfg.max_iters = iterations
    cfg.train_cfg.val_interval = scaled(cfg.train_cfg.val_interval)
    cfg.default_hooks.checkpoint.interval = scaled(cfg.default_hooks.checkpoint.interval)
    for scheduler in cfg.param_scheduler:
        scheduler.update({key: scaled(scheduler[key]) for key in ('begin', 'end') if key in scheduler})


def train(smoke: Smoke, name: str, start: str, seed: int) -> dict:
    """Trains, validates and loads the checkpoint again.

    Args:
        smoke: What all parts share.
        name: Name of the task.
        start: 'pretrained' or 'random'.
        seed: Seed of weights, order and augmentation.

    Returns:
        JSON values: ``metrics`` in percent after training, ``reloaded`` (the same from the checkpoint),
        ``reached`` (the goal), ``iterations``, ``images``, ``seconds``, ``memory_mb``, ``config``, ``checkpoint``
        and what the picture needs.

    Raises:
        MIMError: The checkpoint gives other figures than the training did.
    """
    task = smoke.task(name)
    folder = smoke.run_folder(name, start, seed)
    cfg = task_config(smoke, task, start, folder)
    final = FinalMetrics(task.goal)
    title = f'{task.title}, {STARTS[start]}, seed {seed}'
    with _quiet_scope(cfg):
        runner = build_quiet_runner(cfg, folder, seed, ProgressHook(smoke.progress, title, {'loss': 'loss'}), final)
        try:
            cost = train_measured(runner)
            found = {'metrics': percent(task, final.metrics), 'reached': final.reached, **cost}
            checkpoint = Path(find_last_checkpoint(folder))
            found |= LOOKS[task.data](runner) if task.data in LOOKS else {}
        finally:
            release(runner)
    saved = folder / Path(cfg.filename).name
    found |= {'config': str(saved), 'checkpoint': str(checkpoint)}
    found['reloaded'] = percent(task, run_test(prepare_config(str(saved)), checkpoint, folder / 'reloaded'))
    _compare(found, task)
    shown = ', '.join(f'{label} {found["metrics"][key]:.1f} %' for key, label in task.figures.items())
    smoke.progress.say(f'{title}: {shown}; the same from the checkpoint')
    return found


def percent(task: Task, metrics: Mapping[str, float]) -> dict[str, float]:
    """The figures of a task among the metrics of its toolbox, in percent."""
    return {key: round(float(metrics[key]) * task.percent, 4) for key in task.figures}


def run_test(cfg: Config, checkpoint: Path, folder: Path) -> dict[str, float]:
    """What ``tools/test.py`` does, without lines on the console."""
    with _quiet_scope(cfg):
        return test(prepare_config(cfg, work_dir=str(folder), cfg_options={'log_level': 'WARNING'}), str(checkpoint))


@contextlib.contextmanager
def _quiet_scope(cfg: Config) -> Iterator[None]:
    """The scope of the config's toolbox; the console is for the progress, though pycocotools prints."""
    scope = DefaultScope.overwrite_default_scope(cfg.default_scope)
    with scope, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # Of the toolboxes about their own code.
        for message in ('Default ``avg_non_ignore`` is False', 'To copy construct from a tensor', 'faster_coco_eval'):
            warnings.filterwarnings('ignore', message)
        yield


def _compare(found: dict, task: Task) -> None:
    for key, label in task.figures.items():
        trained, loaded = found['metrics'][key], found['reloaded'][key]
        if not abs(trained - loaded) <= TOLERANCE[get_device()]:
            raise MIMError(
                f'{label} of {found["checkpoint"]} is {loaded} %, but was {trained} % after its training: the '
                'checkpoint does not hold what was trained.'
            )
