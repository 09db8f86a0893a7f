"""How much faster a BEiT config trains when it reads ids from disk."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mim_plugin.apis.encode_tokens import cached_config, encode_images, plan_cache
from mim_plugin.apis.run import prepare_config
from mim_plugin.errors import ConfigError
from mim_plugin.models.algorithms.beit import build_tokenizer
from mim_plugin.registry import DATASETS, MODELS

__all__ = ['CacheSpeed', 'benchmark_token_cache']


@dataclass
class CacheSpeed:
    """What :func:`benchmark_token_cache` measured, in images a second of whole training steps.

    Attributes:
        live: With the tokenizer, one figure a round.
        cached: With the ids, one figure a round.
        encoding: Of the making of the cache, in views a second.
        tokenizer: Name and millions of parameters of the tokenizer.
        student: The same of backbone and head.
    """

    live: list[float]
    cached: list[float]
    encoding: float
    tokenizer: tuple[str, float]
    student: tuple[str, float]

    @property
    def ratios(self) -> list[float]:
        """Speed with the cache by speed without, one figure a round, sorted."""
        return sorted(cached / live for live, cached in zip(self.live, self.cached))

    def __str__(self) -> str:
        live, cached = statistics.median(self.live), statistics.median(self.cached)
        ratio = statistics.median(self.ratios)
        gain = (1 - 1 / ratio) / live  # seconds an image
        pays = f'a cached view pays after it was used {1 / self.encoding / gain:.1f} times' if gain > 0 else 'no gain'
        return (
            f'tokenizer {self.tokenizer[0]} ({self.tokenizer[1]:.1f} M), student {self.student[0]} '
            f'({self.student[1]:.1f} M)\n'
            f'live    {live:8.2f} images/s\n'
            f'cached  {cached:8.2f} images/s\n'
            f'ratio   {ratio:8.2f} (rounds {self.ratios[0]:.2f} to {self.ratios[-1]:.2f})\n'
            f'encoding {self.encoding:7.2f} views/s; {pays}'
        )


def benchmark_token_cache(
    config: str | Config,
    data: str | None = None,
    *,
    images: int = 64,
    batch_size: int = 8,
    num_workers: int = 0,
    steps: int = 3,
    rounds: int = 5,
    crops: int = 1,
    device: str | None = None,
    cfg_options: dict | None = None,
) -> CacheSpeed:
    """Train a few steps with the tokenizer and with its ids, in turns, in one process.

    The weights of the tokenizer may be random: its speed is the same.

    Args:
        config: BEiT config that runs its tokenizer.
        data: Folder of images; None keeps the config's.
        images: The first so many images are used.
        batch_size: Images a step.
        num_workers: Processes that decode images.
        steps: Steps of a turn; the first turn of each arm is not counted.
        rounds: Turns of each arm that are counted.
        crops: Fixed crops an image.
        device: Where to train; None takes a GPU if there is one.
        cfg_options: Overrides with dotted keys.

    Raises:
        ConfigError: The config cannot be cached, or there are fewer images than a batch.
    """
    cfg = prepare_config(config, cfg_options=cfg_options)
    device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    dataset = cfg.train_dataloader.dataset
    if data is not None:
        dataset.update(data_root=data, data_prefix='', ann_file='')
    dataset.indices = images
    with DefaultScope.overwrite_default_scope('mim_plugin'), tempfile.TemporaryDirectory() as folder:
        tokenizer = build_tokenizer(cfg.model.tokenizer)
        tokenizer.init_weights()
        plan, manifest = plan_cache(cfg, tokenizer, crops=crops)
        if len(plan) < batch_size:
            raise ConfigError(f'{len(plan)} images make no batch of {batch_size}; lower --batch-size.')
        begin = time.perf_counter()
        encode_images(plan, manifest, tokenizer, folder, batch_size, num_workers, str(device))
        encoding = len(plan) * crops / (time.perf_counter() - begin)
        cached = cached_config(cfg, folder, manifest.vocabulary_size)
        cached.model.tokenizer.tokenizer = None  # with random weights there is nothing to compare
        arms = [_Arm(cfg, batch_size, num_workers, device), _Arm(cached, batch_size, num_workers, device)]
        speeds = [[arm.run(steps) for arm in arms] for _ in range(rounds + 1)][1:]
        model = arms[0].model
        student = type(model.backbone).__name__, _millions(model.backbone) + _millions(model.head)
    live, with_ids = map(list, zip(*speeds))
    return CacheSpeed(live, with_ids, encoding, (type(tokenizer).__name__, _millions(tokenizer)), student)


class _Arm:
    """One way to train, step by step."""

    def __init__(self, cfg: Config, batch_size: int, num_workers: int, device: torch.device) -> None:
        self.model = MODELS.build(cfg.model)
        self.model.init_weights()
        self.model.to(device).train()
        self.optimizer = build_optim_wrapper(self.model, cfg.optim_wrapper)
        images = DATASETS.build(cfg.train_dataloader.dataset)
        images.set_epoch(0)
        workers = dict(num_workers=num_workers, persistent_workers=num_workers > 0)
        self.loader = DataLoader(images, batch_size, shuffle=True, drop_last=True, **workers)
        self.batch_size, self.device = batch_size, device
        self.batches = self._endless()

    def run(self, steps: int) -> float:
        """Images a second of so many steps."""
        begin = time.perf_counter()
        for _ in range(steps):
            self.model.train_step(next(self.batches), self.optimizer)
        if self.device.type == 'cuda':
            torch.cuda.synchronize()
        return steps * self.batch_size / (time.perf_counter() - begin)

    def _endless(self) -> Iterator[dict]:
        while True:
            yield from self.loader


def _millions(module: torch.nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6
