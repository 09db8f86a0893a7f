"""How long a training step of a config takes, without the loader."""

from __future__ import annotations

import collections
import copy
import statistics
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader, default_collate
from torch.utils.flop_counter import FlopCounterMode

from mim_plugin.apis.config_errors import read_config
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.long_commands.machine import now, peak_memory, reset_peak_memory
from mim_plugin.apis.long_commands.runs import build_quiet_runner, release
from mim_plugin.apis.run import prepare_config
from mim_plugin.errors import ConfigError
from mim_plugin.registry import LOOPS
from mim_plugin.testing.shrink import generate_data, start_at_random

__all__ = ['PRECISIONS', 'StepSpeed', 'benchmark_training', 'speed_table']

PRECISIONS = ('config', 'float32', 'bfloat16', 'float16')
SAMPLES = 32  # different images of the made batches
BATCHES = 4
WATCHED = 3  # steps in which waits for the GPU are counted


@dataclass
class StepSpeed:
    """What :func:`benchmark_training` measured.

    Attributes:
        name: Precision, and what was compiled.
        batch_size: Images a step.
        seconds: Of a step, the mean of each round.
        memory_mb: Peak, of the GPU or of this process.
        flops: Floating-point operations of the matrix products of a step; None without a GPU.
        waits: Places where a step waits for the GPU, with their number in all watched steps; None without a GPU.
    """

    name: str
    batch_size: int
    seconds: list[float] = field(default_factory=list)
    memory_mb: float | None = None
    flops: int | None = None
    waits: dict[str, int] | None = None

    @property
    def step(self) -> float:
        """Seconds a step, median of the rounds."""
        return statistics.median(self.seconds)

    @property
    def images(self) -> float:
        """Images a second."""
        return self.batch_size / self.step


def benchmark_training(
    config: str | Config,
    *,
    batch_size: int | None = None,
    precision: str = 'config',
    compiled: str | None = None,
    steps: int = 10,
    rounds: int = 3,
    warmup: int = 10,
    cfg_options: dict | None = None,
) -> StepSpeed:
    """Time the steps of a training run: forward, backward, clipping, optimizer, schedules and hooks, no loader.

    Batches are made before by the config's pipeline from generated images and lie on the device; only the masks come
    from the host, as in training. Weights are random, the tokenizer's too. No log and no checkpoint is written.

    Args:
        config: Pretraining config.
        batch_size: Images a step; None takes the config's.
        precision: One of :data:`PRECISIONS`.
        compiled: 'step' compiles the whole step, as ``compile=True`` in a config does, 'blocks' the transformer
            blocks, as ``compile='blocks'``.
        steps: Steps of a round; the GPU is waited for before and after a round.
        rounds: Timed rounds.
        warmup: Steps before, in which memory is reserved and kernels are chosen or compiled.
        cfg_options: Overrides with dotted keys.

    Raises:
        ConfigError: The config does not pretrain, or an argument makes no sense.
    """
    if precision not in PRECISIONS or min(steps, rounds, warmup) < 1:
        raise ConfigError(f'Give a precision among {", ".join(PRECISIONS)}, and numbers of steps of 1 or more.')
    cfg = read_config(config) if isinstance(config, str) else copy.deepcopy(config)
    if not all(cfg.get(key) for key in ('train_dataloader', 'train_cfg', 'optim_wrapper')):
        raise ConfigError(f'{cfg.filename} trains nothing: give a pretraining config.')
    if precision != 'config':
        _set_precision(cfg, precision)
    if compiled:
        cfg.compile = {'step': True, 'blocks': 'blocks'}[compiled]
    cfg = prepare_config(cfg, cfg_options=cfg_options, validate=False)
    batch_size = batch_size or cfg.train_dataloader.batch_size
    name = cfg.optim_wrapper.get('dtype', 'float32') + (f', {compiled} compiled' if compiled else '')
    with tempfile.TemporaryDirectory() as folder, DefaultScope.overwrite_default_scope('mim_plugin'):
        generate_data(cfg, Path(folder) / 'data')
        start_at_random(cfg)
        batches = _make_batches(cfg, batch_size)
        _leave_out_logs(cfg)
        # Heads are warmed up on weights of a file, which there are none of here; it changes a rate, no work.
        cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or [] if type_name(hook) != 'HeadWarmupHook']
        cfg.train_cfg = dict(type='TimedSteps', max_epochs=cfg.train_cfg.get('max_epochs', 1))
        runner = build_quiet_runner(cfg, Path(folder) / 'run', 0)
        runner._train_dataloader = DataLoader(_Endless(batches), batch_size=None)
        loop = runner.train_loop
        loop.plan, loop.result = (steps, rounds, warmup), StepSpeed(name, batch_size)
        runner.train()
        release(runner)
    return loop.result


def speed_table(rows: Sequence[StepSpeed]) -> str:
    """A line for each measurement, then the places where steps wait for the GPU."""
    lines = [f'{"step":24} {"batch":>6} {"ms/step":>9} {"images/s":>9} {"MB":>8} {"TFLOP/s":>8} {"waits/step":>10}']
    for row in rows:
        rate = '' if row.flops is None else f'{row.flops / row.step / 1e12:.1f}'
        waits = '' if row.waits is None else f'{sum(row.waits.values()) / WATCHED:.1f}'
        memory = '' if row.memory_mb is None else f'{row.memory_mb:.0f}'
        speed = f'{row.step * 1e3:9.1f} {row.images:9.1f}'
        lines.append(f'{row.name:24} {row.batch_size:6} {speed} {memory:>8} {rate:>8} {waits:>10}')
    for row in rows:
        for place, count in (row.waits or {}).items():
            lines.append(f'{row.name}: {count} waits in {WATCHED} steps at {place}')
    return '\n'.join(lines)


def _set_precision(cfg: Config, precision: str) -> None:
    if precision == 'float16' and not torch.cuda.is_available():
        raise ConfigError('--precision float16 needs a GPU; bfloat16 runs without one.')
    wrapper = cfg.optim_wrapper
    for key in ('dtype', 'loss_scale'):
        wrapper.pop(key, None)
    wrapper.type = 'mim_plugin.MIMOptimWrapper'
    if precision != 'float32':
        wrapper.update(type='mim_plugin.MIMAmpOptimWrapper', dtype=precision)


def _leave_out_logs(cfg: Config) -> None:
    cfg.default_hooks.update(logger=None, checkpoint=None, sampler_seed=None)
    cfg.visualizer = None


def _make_batches(cfg: Config, batch_size: int) -> list[dict]:
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not hasattr(dataset, 'set_epoch'):
        raise ConfigError(f'{cfg.filename} does not pretrain: give a config of configs/ibot, beit, dino or dvae.')
    samples: list[dict] = []
    for epoch in range(-(-SAMPLES // len(dataset))):
        dataset.set_epoch(epoch)
        samples += [dataset[i] for i in range(len(dataset))]
    draw = torch.Generator().manual_seed(0)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    batches = []
    for _ in range(BATCHES):
        rows = torch.randint(len(samples), (batch_size,), generator=draw).tolist()
        batches.append(_put_on(device, default_collate([samples[i] for i in rows])))
    return batches


def _put_on(device: str, batch: dict) -> dict:
    """Crops and ids go to the device; masks are listed on the host (see ``MIMDataPreprocessor``)."""
    return {
        'inputs': {
            key: views if 'mask' in key or key == 'match' else [view.to(device) for view in views]
            for key, views in batch['inputs'].items()
        }
    }


class _Endless(torch.utils.data.Dataset):
    """The same few batches for ever."""

    metainfo: dict = {}  # the Runner asks for it

    def __init__(self, batches: list[dict]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> dict:
        return self.batches[index % len(self.batches)]


@LOOPS.register_module()
class TimedSteps(EpochBasedTrainLoop):
    """Steps of the first epoch of a run: warm-up, timed rounds, and a few steps that are looked at.

    Attributes:
        plan: Steps of a round, rounds, steps of warm-up.
        result: Filled by :meth:`run`.
    """

    plan: tuple[int, int, int]
    result: StepSpeed

    def run(self) -> torch.nn.Module:
        """Run all steps."""
        steps, rounds, warmup = self.plan
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self._run_steps(warmup)
        reset_peak_memory()
        for _ in range(rounds):
            begin = now()
            self._run_steps(steps)
            self.result.seconds.append((now() - begin) / steps)
        self.result.memory_mb = peak_memory()
        if torch.cuda.is_available():
            self.result.waits = _count_waits(lambda: self._run_steps(WATCHED))
            if not self.runner.cfg.get('compile'):  # compiled code hides its operations
                with FlopCounterMode(display=False) as counter:
                    self._run_steps(1)
                self.result.flops = counter.get_total_flops()
        return self.runner.model

    def _run_steps(self, count: int) -> None:
        for _ in range(count):
            self.run_iter(self._iter, self.dataloader.dataset[self._iter])


def _count_waits(run: Callable[[], None]) -> dict[str, int]:
    """Places that wait for the GPU, most frequent first."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    places = (f'{w.filename}:{w.lineno}' for w in found if 'synchronizing' in str(w.message))
    return dict(collections.Counter(places).most_common())
