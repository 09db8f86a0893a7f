"""Runners whose log stays off the console, and what is changed in a config for one run."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import time
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mim_plugin.apis.config_errors import explain_build_errors
from mim_plugin.apis.long_commands.machine import now, peak_memory, reset_peak_memory
from mim_plugin.apis.run import find_last_checkpoint, prepare_config

__all__ = ['FileLogRunner', 'build_quiet_runner', 'loader_processes', 'release', 'set_epochs', 'train_measured']

# Warnings of mmengine and mmseg about their own code, which no user of a command can act upon.
NOISE = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'The prefix is not set in metric class',
    'in the "vis_backend" registry tree',
)


def _is_news(record: logging.LogRecord) -> bool:
    return not any(text in record.getMessage() for text in NOISE)


class FileLogRunner(Runner):
    """A Runner whose own log goes to its file; the console shows warnings and the progress only."""

    def build_logger(self, *args: object, **kwargs: object) -> MMLogger:
        """Builds mmengine's logger and makes its console part quiet."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not hasattr(handler, 'baseFilename'):
                handler.setLevel('WARNING')
                handler.addFilter(_is_news)
        return logger


def build_quiet_runner(cfg: Config, folder: Path, seed: int, *hooks: Hook, keep: bool = False) -> Runner:
    """A :class:`FileLogRunner`.

    Args:
        cfg: Config of the training; it is not changed.
        folder: Work folder.
        seed: Seed of everything random.
        *hooks: Added to those of the config.
        keep: Leave what is in the folder, and go on from its last checkpoint if there is one; else the folder is
            emptied.
    """
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    cfg = prepare_config(cfg, work_dir=str(folder), resume='auto' if find_last_checkpoint(folder) else None)
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


def train_measured(runner: Runner) -> dict[str, float | None]:
    """Trains.

    Args:
        runner: With a training loop.

    Returns:
        What it took: ``iterations``, ``images`` (seen), ``seconds`` and ``memory_mb``, the peak as of
        :func:`peak_memory`.
    """
    reset_peak_memory()
    begin = now()
    runner.train()
    return {
        'iterations': runner.iter,
        'images': runner.iter * runner.train_dataloader.batch_size,
        'seconds': round(now() - begin, 2),
        'memory_mb': peak_memory(),
    }


def release(runner: Runner) -> None:
    """Let loader processes and optimizer go before the next run is timed."""
    runner.train_dataloader._iterator = None
    runner.optim_wrapper = None
    gc.collect()


def loader_processes() -> int:
    """Loader processes: one beside the training process on two cores, more where there are more."""
    return max(1, min(8, (os.cpu_count() or 1) - 1))


def set_epochs(cfg: Config, epochs: int) -> None:
    """Changes the length of a run; warm-ups keep their share of it.

    Args:
        cfg: Config with an epoch loop.
        epochs: New length.
    """
    factor = epochs / cfg.train_cfg.max_epochs
    cfg.train_cfg.max_epochs = epochs
    for scheduler in cfg.param_scheduler:
        if 'warmup_epochs' in scheduler:
            scheduler.warmup_epochs *= factor
