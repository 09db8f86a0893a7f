"""Encode a data set once, so that BEiT reads ids instead of running its tokenizer.

From a notebook::

    encode_tokens('configs/beit/...py', 'data/tokens', crops=10)
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mim_plugin.apis.config_errors import explain_build_errors
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.run import prepare_config
from mim_plugin.datasets import ImageDataset
from mim_plugin.datasets.token_cache import CacheManifest, TokenCacheWriter, hash_of_lines
from mim_plugin.datasets.transforms import TwoResolutionCrop, UndecodableImageError
from mim_plugin.datasets.transforms.cached_tokens import EncoderViews, describe_steps
from mim_plugin.datasets.transforms.masking import grid_of_crop
from mim_plugin.datasets.transforms.token_views import FixedCrops, WholeGrids, describe_sampling
from mim_plugin.errors import ConfigError, DataError
from mim_plugin.models.algorithms.beit import build_tokenizer
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.models.tokenizers.cached import tokenizer_hash
from mim_plugin.registry import DATASETS, TRANSFORMS

__all__ = ['cached_config', 'encode_images', 'encode_tokens', 'plan_cache']

SHARD_IMAGES = 4096
_SECONDS_BETWEEN_LINES = 10.0
_VIEW_KEYS = ('size', 'interpolation', 'brightness', 'contrast', 'saturation', 'hue')


def encode_tokens(
    config: str | Config,
    out: str,
    *,
    crops: int | None = None,
    grid: Sequence[int] | None = None,
    seed: int = 0,
    batch_size: int = 64,
    num_workers: int = 4,
    device: str | None = None,
    shard_images: int = SHARD_IMAGES,
    cfg_options: dict | None = None,
) -> Path:
    """Write the token cache of a BEiT config's images, and the config that trains with it.

    An interrupted run goes on where it stopped when it is called again; finished shards are kept.

    Args:
        config: BEiT config (path or content) with the data set, the crop and the tokenizer.
        out: Folder of the cache.
        crops: Number of fixed crops an image, see :class:`FixedCrops`; or
        grid: rows of tokens of whole images, one number for each size, see :class:`WholeGrids`.
        seed: Seed of the fixed crops.
        batch_size: Images of a batch.
        num_workers: Processes that decode images.
        device: Where the tokenizer runs; None takes a GPU if there is one.
        shard_images: Images of a shard; what an interruption can cost.
        cfg_options: Overrides with dotted keys.

    Returns:
        Path of the config that trains with the cache.

    Raises:
        ConfigError: The config, or what it asks for, cannot be cached; or the folder holds another cache.
        DataError: The images are missing, or too many of them are damaged.
        CheckpointError: The tokenizer's weights are missing.
    """
    cfg = prepare_config(config, cfg_options=cfg_options)
    with explain_build_errors(cfg):
        tokenizer = build_tokenizer(_part(cfg, 'model.tokenizer'))
        if tokenizer.has_weights and tokenizer.checkpoint is None:
            raise ConfigError(
                f'{type(tokenizer).__name__} of {cfg.filename or "the config"} has random weights, whose ids no later '
                'run could check; name the file of its weights: --cfg-options model.tokenizer.checkpoint=FILE.'
            )
        tokenizer.init_weights()
        images, manifest = plan_cache(cfg, tokenizer, crops, grid, seed, shard_images)
    manifest = encode_images(images, manifest, tokenizer, out, batch_size, num_workers, device)
    path = Path(out) / f'{Path(cfg.filename or "beit").stem}-cached.py'
    cached_config(cfg, out, manifest.vocabulary_size).dump(path)
    size = sum(file.stat().st_size for file in Path(out).glob('ids-*.npy'))
    print_log(
        f'{out}: {manifest.images} images ({len(manifest.damaged)} damaged), {manifest.ids_per_image} ids each, '
        f'{size / 1e6:.1f} MB. Next: python tools/train.py {path}',
        logger='current',
    )
    return path


def plan_cache(
    cfg: Config,
    tokenizer: FrozenTokenizer,
    crops: int | None = None,
    grid: Sequence[int] | None = None,
    seed: int = 0,
    shard_images: int = SHARD_IMAGES,
) -> tuple[ImageDataset, CacheManifest]:
    """What to encode and what it will be, from a BEiT config; arguments as those of :func:`encode_tokens`."""
    if tokenizer.kind != 'ids':
        raise ConfigError(f'{type(tokenizer).__name__} gives {tokenizer.kind}, and only ids are cached; train live.')
    dataset = _part(cfg, 'train_dataloader.dataset')
    steps = dataset.get('pipeline', [])
    names = [type_name(step) for step in steps]
    if 'TwoResolutionCrop' not in names or 'BEiTMasks' not in names:
        raise ConfigError(
            f'The pipeline of {cfg.filename or "the config"} is {names}; a token cache is made from a BEiT config with '
            'TwoResolutionCrop and BEiTMasks.'
        )
    position = names.index('TwoResolutionCrop')
    crop: TwoResolutionCrop = TRANSFORMS.build(dict(steps[position]))
    patch_size = TRANSFORMS.build(dict(steps[names.index('BEiTMasks')])).patch_size
    patch_grid = grid_of_crop(crop.size[::-1], patch_size, 'size of TwoResolutionCrop or patch_size of BEiTMasks')
    target, method = (crop.target_size, crop.target_filter) if crop.target_size else (crop.size, crop.filter)
    cell = _cell(target, patch_grid)
    sampling = _sampling(crop, patch_grid, crops, grid, seed)
    grids = sampling.grids(patch_grid)
    _check_grids(tokenizer, grids, cell)
    views = EncoderViews(sampling, cell, patch_grid, method)
    images = DATASETS.build({**dataset, 'pipeline': [*steps[:position], views]})
    manifest = CacheManifest(
        images=len(images),
        list_sha256=hash_of_lines(images.image_paths()),
        tokenizer=type(tokenizer).__name__,
        tokenizer_sha256=tokenizer_hash(tokenizer, cfg.model.tokenizer.to_dict()),
        vocabulary_size=tokenizer.vocabulary_size,
        patch_grid=list(patch_grid),
        views=[list(view) for view in grids],
        sampling=describe_sampling(sampling),
        target={'size': list(target), 'interpolation': method.name.lower()},
        loading=describe_steps(images.pipeline.transforms[:position]),
        shard_images=shard_images,
    )
    return images, manifest


def encode_images(
    images: ImageDataset,
    manifest: CacheManifest,
    tokenizer: FrozenTokenizer,
    out: str | Path,
    batch_size: int = 64,
    num_workers: int = 4,
    device: str | None = None,
) -> CacheManifest:
    """Write the shards that are missing; returns the manifest of the finished cache.

    Batches do not cross shards, so the ids of an interrupted run are those of an uninterrupted one to the bit.
    """
    device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    tokenizer = tokenizer.to(device).freeze()
    writer = TokenCacheWriter(out, manifest)
    todo = writer.missing_shards()
    if len(todo) < manifest.num_shards:
        print_log(f'{manifest.num_shards - len(todo)} of {manifest.num_shards} shards are there.', logger='current')
    if todo:
        cell = _cell(tuple(manifest.target['size']), tuple(manifest.patch_grid))
        sizes = [(rows * cell[0], columns * cell[1]) for rows, columns in manifest.views]
        batches = [
            range(start, min(start + batch_size, shard.stop))
            for shard in map(manifest.shard_range, todo)
            for start in range(shard.start, shard.stop, batch_size)
        ]
        loader = DataLoader(_Readable(images, sizes), batch_sampler=batches, num_workers=num_workers)
        _write_shards(writer, todo, _encoded(loader, tokenizer, device, images), batches)
    manifest = writer.finish()
    _check_damaged(images, len(manifest.damaged))
    return manifest


def cached_config(cfg: Config, cache: str, vocabulary_size: int) -> Config:
    """The config of a training run that reads the cache: ``cfg`` with another crop step and tokenizer."""
    cfg = copy.deepcopy(cfg)
    steps = [dict(step) for step in cfg.train_dataloader.dataset.pipeline]
    for position, step in enumerate(steps):
        if type_name(step) == 'TwoResolutionCrop':
            kept = {key: step[key] for key in _VIEW_KEYS if key in step}
            steps[position] = dict(type='CachedTokenCrop', cache=str(cache), **kept)
    cfg.train_dataloader.dataset.pipeline = steps
    if 'train_pipeline' in cfg:
        cfg.train_pipeline = copy.deepcopy(steps)
    cfg.model.tokenizer = dict(
        type='CachedTokenizer', cache=str(cache), vocabulary_size=vocabulary_size, tokenizer=cfg.model.tokenizer
    )
    cfg.work_dir = None
    return cfg


class _Readable(Dataset):
    """Views of each image, or blank ones and a note when it cannot be decoded."""

    def __init__(self, images: ImageDataset, sizes: list[tuple[int, int]]) -> None:
        self.images = images
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        try:
            return {'views': self.images.prepare_data(index)['views'], 'readable': True, 'reason': ''}
        except UndecodableImageError as error:
            blank = [torch.zeros(3, *size, dtype=torch.uint8) for size in self.sizes]
            return {'views': blank, 'readable': False, 'reason': str(error)}


def _encoded(
    loader: DataLoader, tokenizer: FrozenTokenizer, device: torch.device, images: ImageDataset
) -> Iterator[np.ndarray]:
    """Ids (B, ids an image) of each batch, int32, -1 for damaged images."""
    damaged = 0
    for batch in loader:
        ids = [tokenizer(_in_unit_range(view, device)).patches.flatten(1).int().cpu() for view in batch['views']]
        rows = torch.cat(ids, 1)
        rows[~batch['readable']] = -1
        for reason in filter(None, batch['reason']):
            print_log(reason, logger='current', level=logging.WARNING)
            damaged += 1
        _check_damaged(images, damaged)
        yield rows.numpy()


def _write_shards(
    writer: TokenCacheWriter, todo: list[int], encoded: Iterator[np.ndarray], batches: list[range]
) -> None:
    shards, rows = iter(todo), []
    total = sum(len(batch) for batch in batches)
    done, begin = 0, time.monotonic()
    said = begin
    for batch, ids in zip(batches, encoded):
        rows.append(ids)
        done += len(batch)
        if batch.stop == writer.manifest.shard_range(batch.start // writer.manifest.shard_images).stop:
            writer.write(next(shards), np.concatenate(rows))
            rows = []
        now = time.monotonic()
        if now - said > _SECONDS_BETWEEN_LINES or done == total:
            said, speed = now, done / (now - begin)
            left = timedelta(seconds=round((total - done) / speed))
            print_log(f'{done} of {total} images, {speed:.1f} images/s, {left} left', logger='current')


def _in_unit_range(view: Tensor, device: torch.device) -> Tensor:
    return view.to(device, non_blocking=True).float() / 255


def _check_damaged(images: ImageDataset, count: int) -> None:
    if count > images.max_broken * len(images):
        raise DataError(
            f'At least {count} of the {len(images)} images of {images.image_folder} cannot be decoded (more than '
            f'max_broken={images.max_broken:g}); remove or replace them, or raise max_broken.'
        )


def _part(cfg: Config, name: str) -> Config:
    node = cfg
    for key in name.split('.'):
        node = (node or {}).get(key)
    if not node:
        raise ConfigError(f'{cfg.filename or "The config"} has no {name}; a token cache is made from a BEiT config.')
    return node


def _cell(target: tuple[int, int], patch_grid: tuple[int, int]) -> tuple[int, int]:
    if any(pixels % cells for pixels, cells in zip(target, patch_grid)):
        raise ConfigError(
            f"The tokenizer's view of {tuple(target)} pixels does not divide into the {patch_grid} patches of the "
            "transformer's view; set target_size of TwoResolutionCrop to a multiple."
        )
    return target[0] // patch_grid[0], target[1] // patch_grid[1]


def _sampling(
    crop: TwoResolutionCrop, patch_grid: tuple[int, int], crops: int | None, grid: Sequence[int] | None, seed: int
) -> FixedCrops | WholeGrids:
    if (crops is None) == (grid is None) or (crops is not None and crops < 1):
        raise ConfigError('A token cache holds either --crops K (1 or more) or --grid ROWS ...; name one of them.')
    if crops is not None:
        return FixedCrops(crops, seed, crop.scale, crop.ratio, crop.flip_prob)
    levels = tuple((rows, round(rows * patch_grid[1] / patch_grid[0])) for rows in grid)
    return WholeGrids(levels, crop.flip_prob)


def _check_grids(tokenizer: FrozenTokenizer, grids: list[tuple[int, int]], cell: tuple[int, int]) -> None:
    for grid in sorted(set(grids)):
        size = grid[0] * cell[0], grid[1] * cell[1]
        made = tuple(tokenizer.grid_size(size))
        if made != tuple(grid):
            raise ConfigError(
                f'{type(tokenizer).__name__} makes a grid of {made} ids from {size} pixels, but {tuple(grid)} are '
                'wanted, one for each patch; set target_size of TwoResolutionCrop to fit.'
            )
