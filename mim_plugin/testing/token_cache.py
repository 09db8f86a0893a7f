"""A small token cache of random ids, for configs that read one."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mim_plugin.apis.config_tree import type_name
from mim_plugin.datasets.token_cache import CacheManifest, TokenCacheWriter, hash_of_lines
from mim_plugin.datasets.transforms.cached_tokens import describe_steps
from mim_plugin.datasets.transforms.token_views import FixedCrops, describe_sampling
from mim_plugin.registry import DATASETS, TRANSFORMS

__all__ = ['write_random_token_cache']


def write_random_token_cache(cfg: Config, dataset: dict, folder: str | Path, crops: int = 2) -> None:
    """Let a data set with ``CachedTokenCrop`` read random ids of its images; changes ``cfg`` and ``dataset``.

    The tokenizer that the config names is not compared: nothing was made with it.
    """
    steps = dataset['pipeline']
    names = [type_name(step) for step in steps]
    position = names.index('CachedTokenCrop')
    size, patch_size = steps[position].get('size', 224), steps[names.index('BEiTMasks')].get('patch_size', 16)
    rows, columns = (side // patch_size for side in (size if isinstance(size, (list, tuple)) else (size, size)))
    tokenizer = cfg.model.tokenizer
    images = DATASETS.build({**copy.deepcopy(dict(dataset)), 'pipeline': []})
    manifest = CacheManifest(
        images=len(images),
        list_sha256=hash_of_lines(images.image_paths()),
        tokenizer='random ids',
        tokenizer_sha256='',
        vocabulary_size=tokenizer.vocabulary_size,
        patch_grid=[rows, columns],
        views=[[rows, columns]] * crops,
        sampling=describe_sampling(FixedCrops(crops, 0, (0.08, 1.0), (3 / 4, 4 / 3), 0.5)),
        target={'size': [rows, columns], 'interpolation': 'lanczos'},
        loading=describe_steps([TRANSFORMS.build(dict(step)) for step in steps[:position]]),
        shard_images=3,
    )
    writer = TokenCacheWriter(folder, manifest)
    rng = np.random.default_rng(0)
    for shard in writer.missing_shards():
        shape = len(manifest.shard_range(shard)), manifest.ids_per_image
        writer.write(shard, rng.integers(0, manifest.vocabulary_size, shape))
    writer.finish()
    steps[position]['cache'] = tokenizer['cache'] = str(folder)
    tokenizer['tokenizer'] = None
