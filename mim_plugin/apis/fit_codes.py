"""Fit the k-means codes of a config to images."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor
from torch.utils.data import DataLoader

from mim_plugin.apis.config_errors import explain_build_errors
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.run import prepare_config
from mim_plugin.errors import ConfigError
from mim_plugin.models.losses.dvae import perplexity
from mim_plugin.models.tokenizers import KMeansTokenizer
from mim_plugin.models.tokenizers.fitting import fit_centroids, fit_normalisation, mean_of_codes
from mim_plugin.models.tokenizers.patches import cut_patches
from mim_plugin.registry import DATASETS, MODELS

__all__ = ['FitReport', 'fit_codes']

# k-means gains nothing from more patches than this for each code, nor are more numbers held (1 GiB).
PATCHES_A_CODE = 256
MAX_NUMBERS = 2**28
DEFAULT_FILE = 'codes.safetensors'


@dataclass
class FitReport:
    """What :func:`fit_codes` did.

    Attributes:
        file: The file of codes.
        num_codes: Number K of codes.
        used: Codes that at least one patch has.
        perplexity: How many evenly used codes would be as uncertain.
        reseeded: Codes that were moved because hardly a patch had them.
        error: Mean square distance to the centroid, by that to the mean: 0 (perfect) to 1 (nothing learnt).
        images: Number of images.
        patches: Number of patches that k-means saw.
        grid: Rows and columns of codes of an image.
        view: Height and width of what the tokenizer sees, in pixels.
        seconds: Wall time of reading images and features, and of k-means.
        next_command: How to train with these codes.
    """

    file: str
    num_codes: int
    used: int
    perplexity: float
    reseeded: int
    error: float
    images: int
    patches: int
    grid: tuple[int, int]
    view: tuple[int, int]
    seconds: tuple[float, float]
    next_command: str

    def __str__(self) -> str:
        return (
            f'{self.images:,} images of {self.view[0]} x {self.view[1]} pixels with {self.grid[0]} x {self.grid[1]} '
            f'patches, {self.patches:,} of these taken: {self.seconds[0]:.1f} s\n'
            f'{self.num_codes} codes: {self.used} used, perplexity {self.perplexity:.1f}, {self.reseeded} moved for '
            f'lack of use, {100 * self.error:.1f} % of the variance left: {self.seconds[1]:.1f} s\n'
            f'written to {self.file}\n'
            f'next: {self.next_command}'
        )


def fit_codes(
    config: str | Config,
    data: str | None = None,
    num_codes: int | None = None,
    num_images: int | None = None,
    out: str | None = None,
    seed: int = 0,
    workers: int = 2,
    cfg_options: dict | None = None,
) -> FitReport:
    """Fit the codes of ``model.tokenizer`` to images, seen as the training shows them to the tokenizer.

    Args:
        config: A training config with a ``KMeansTokenizer``, or its path.
        data: Folder of the images, in place of the config's ``train_dataloader.dataset.data_root``.
        num_codes: Number of codes, in place of ``model.tokenizer.vocabulary_size``.
        num_images: Take so many images, at random; None: all.
        out: The file; None: the config's ``model.tokenizer.checkpoint``, which the training will read.
        seed: Of everything random.
        workers: Processes that read images.
        cfg_options: Overrides of the config with dotted keys.

    Returns:
        The report.

    Raises:
        ConfigError: The config has no such tokenizer.
        DataError: The folder is missing, holds too few or too many damaged images.
    """
    cfg, start = prepare_config(config, cfg_options=cfg_options), time.perf_counter()
    entry = (cfg.get('model') or {}).get('tokenizer') or {}
    if not entry or type_name(entry) != 'KMeansTokenizer' or not cfg.get('train_dataloader'):
        raise ConfigError(
            f'{cfg.filename} is no training config with model.tokenizer.type=KMeansTokenizer, so there are no codes to '
            'fit; configs/beit holds such configs (docs/tokenizers.md lists them).'
        )
    out = out or entry.get('checkpoint') or DEFAULT_FILE
    tokenizer = _build(cfg, num_codes)
    images = _Images(cfg, data, num_images, seed, workers)
    rows, cells = _collect(tokenizer, images, seed)
    read = time.perf_counter()
    codes = _fit(tokenizer, rows, cells, seed)
    options = {**(cfg_options or {}), **_options(cfg, data, num_codes, out)}
    report = FitReport(
        str(out), tokenizer.vocabulary_size, int((codes.counts > 0).sum()), float(perplexity(codes.counts)),
        codes.reseeded, codes.error, images.count, len(rows), images.grid, images.view,
        (read - start, time.perf_counter() - read), _command(cfg.filename, options),
    )  # fmt: skip
    notes = {key: str(getattr(report, key)) for key in ('used', 'perplexity', 'error', 'images', 'patches', 'view')}
    tokenizer.save_codes(out, {**notes, 'seed': str(seed)})
    return report


def _build(cfg: Config, num_codes: int | None) -> KMeansTokenizer:
    entry = {**cfg.model.tokenizer, 'checkpoint': None}
    if num_codes is not None:
        entry['vocabulary_size'] = num_codes
    if entry['vocabulary_size'] < 2:
        raise ConfigError(f'{entry["vocabulary_size"]} codes tell nothing apart; ask for at least 2 with --num-codes.')
    with DefaultScope.overwrite_default_scope('mim_plugin'), explain_build_errors(cfg):
        tokenizer = MODELS.build(entry).freeze()
    tokenizer.features.init_weights()
    return tokenizer.to('cuda' if torch.cuda.is_available() else 'cpu')


class _Images:
    """The views of the images for the tokenizer, batch by batch, from the training's own pipeline."""

    def __init__(self, cfg: Config, data: str | None, num_images: int | None, seed: int, workers: int) -> None:
        entry = {**cfg.train_dataloader.dataset, 'seed': seed}
        if data is not None:
            entry['data_root'] = data
        with DefaultScope.overwrite_default_scope('mim_plugin'), explain_build_errors(cfg):
            dataset = DATASETS.build(entry)
        if num_images is not None:
            if num_images < 1:
                raise ConfigError(f'--num-images {num_images} leaves nothing to fit codes to; ask for at least 1.')
            chosen = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))[:num_images]
            dataset = dataset.get_subset(sorted(chosen.tolist()))
        dataset.set_epoch(0)
        self.count = len(dataset)
        self.loader = DataLoader(dataset, batch_size=32, num_workers=workers)
        self.grid = self.view = (0, 0)

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self.loader:
            views = batch['inputs']
            yield torch.cat(views.get('target') or views['global'])


@torch.no_grad()
def _collect(tokenizer: KMeansTokenizer, images: _Images, seed: int) -> tuple[Tensor, Tensor]:
    """Features ``(N, C)`` of a random choice of patches, and their pixels ``(N, 3 * s * s)`` uint8."""
    features, device = tokenizer.features, tokenizer.mean.device
    limit = min(PATCHES_A_CODE * tokenizer.vocabulary_size, MAX_NUMBERS // features.dims)
    generator = torch.Generator().manual_seed(seed)
    rows, cells = [], []
    for views in images:
        images.view = tuple(views.shape[2:])
        images.grid = features.grid_size(images.view)
        views = views.to(device)
        found = features(views.float() / 255).flatten(0, 2)
        pixels = cut_patches(views, features.stride).flatten(0, 2)
        share = max(len(views), round(limit * len(views) / images.count))
        chosen = torch.randperm(len(found), generator=generator)[:share].to(device)
        rows.append(found[chosen].cpu())
        cells.append(pixels[chosen].cpu())
    return torch.cat(rows), torch.cat(cells)


def _fit(tokenizer: KMeansTokenizer, rows: Tensor, cells: Tensor, seed: int):
    """Fill the tokenizer; returns the codes."""
    device = tokenizer.mean.device
    rows = rows.to(device)
    mean, transform = fit_normalisation(rows, tokenizer.normalise)
    tokenizer.mean.copy_(mean)
    tokenizer.transform.copy_(transform)
    codes = fit_centroids(tokenizer.normalised(rows), tokenizer.vocabulary_size, seed)
    tokenizer.centroids.copy_(codes.centroids)
    grey = torch.full(tokenizer.pictures.shape, 127.5)
    tokenizer.pictures.copy_(mean_of_codes(cells, codes.ids.cpu(), grey) / 255)
    return codes


def _options(cfg: Config, data: str | None, num_codes: int | None, out: str) -> dict[str, object]:
    """What must be told to the training, too."""
    options = {}
    if data is not None:
        options['train_dataloader.dataset.data_root'] = data
    if num_codes is not None and num_codes != cfg.model.tokenizer.vocabulary_size:
        options['model.tokenizer.vocabulary_size'] = num_codes
    if out != cfg.model.tokenizer.get('checkpoint'):
        options['model.tokenizer.checkpoint'] = out
    return options


def _command(filename: str, options: dict[str, object]) -> str:
    tail = ''.join(f' {key}={shlex.quote(str(value))}' for key, value in options.items())
    return f'python tools/train.py {filename}' + (f' --cfg-options{tail}' if tail else '')
