"""Tokens of a data set on disk: memory-mapped shards and a manifest that says what they are.

A cache is a folder with ``manifest.json`` and ``ids-00000.npy``, ``ids-00001.npy``, ... Each shard is a NumPy array
(images, ids an image) of uint16, or uint32 for a vocabulary of 65,536 codes and more. The ids of an image are those of
its views, one after the other, each row by row. The row of an image that could not be decoded holds the largest value
of the type, which is no id.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mim_plugin.errors import ConfigError, DataError
from mim_plugin.version import __version__

__all__ = ['CacheManifest', 'TokenCache', 'TokenCacheWriter', 'hash_of_lines', 'read_manifest']

MANIFEST = 'manifest.json'
ENCODE = 'python tools/encode_tokens.py CONFIG --out DIR'


@dataclass(frozen=True)
class CacheManifest:
    """What the ids of a cache are.

    Attributes:
        images: Number of images.
        list_sha256: Hash of their relative paths in order, see :func:`hash_of_lines`.
        tokenizer: Name of the tokenizer's class.
        tokenizer_sha256: Hash of its class, settings and weights.
        vocabulary_size: Number of codes.
        patch_grid: Rows and columns of ids that a training view has.
        views: Rows and columns of each view of an image.
        sampling: How the views were cut, see :func:`mim_plugin.datasets.transforms.token_views.read_sampling`.
        target: What the tokenizer saw: ``size`` (rows, columns) of a patch grid in pixels, and ``interpolation``.
        loading: Steps of the pipeline before the crop.
        shard_images: Images of a shard; the last holds fewer.
        mim_plugin: Version that wrote the cache.
        finished: Whether all shards are there.
        damaged: Indices of the images that could not be decoded. They have no ids; in training as in the making of
            the cache their neighbours replace them.
    """

    images: int
    list_sha256: str
    tokenizer: str
    tokenizer_sha256: str
    vocabulary_size: int
    patch_grid: list[int]
    views: list[list[int]]
    sampling: dict
    target: dict
    loading: list[dict]
    shard_images: int
    mim_plugin: str = __version__
    finished: bool = False
    damaged: list[int] = dataclasses.field(default_factory=list)

    @property
    def ids_per_image(self) -> int:
        """Ids of all views of an image."""
        return sum(rows * columns for rows, columns in self.views)

    @property
    def dtype(self) -> np.dtype:
        """Type of the ids on disk."""
        return np.dtype(np.uint16 if self.vocabulary_size < 2**16 else np.uint32)

    @property
    def no_id(self) -> int:
        """What stands in the row of a damaged image."""
        return int(np.iinfo(self.dtype).max)

    @property
    def num_shards(self) -> int:
        """Number of shards of the whole cache."""
        return -(-self.images // self.shard_images)

    def shard_range(self, shard: int) -> range:
        """Indices of the images of a shard."""
        return range(shard * self.shard_images, min((shard + 1) * self.shard_images, self.images))

    def first_difference(self, other: CacheManifest) -> str | None:
        """Name of the first setting in which two caches differ, leaving aside how far they are."""
        free = ('mim_plugin', 'finished', 'damaged')
        names = [field.name for field in dataclasses.fields(self) if field.name not in free]
        return next((name for name in names if getattr(self, name) != getattr(other, name)), None)


def hash_of_lines(lines: Iterable[str]) -> str:
    """SHA-256 of a list of paths."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode('utf-8', 'surrogateescape') + b'\n')
    return digest.hexdigest()


def read_manifest(folder: str | Path, finished: bool = True) -> CacheManifest:
    """Read what a cache is.

    Args:
        folder: Folder of the cache.
        finished: Refuse a cache that misses shards.

    Raises:
        DataError: There is no cache, its manifest is damaged, or it is unfinished.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise DataError(f'{folder} holds no token cache (no {MANIFEST}); make it: {ENCODE}.')
    try:
        manifest = CacheManifest(**json.loads(path.read_text(encoding='utf-8')))
    except (ValueError, TypeError) as error:
        raise DataError(f'{path} is damaged or of another version ({error}); make the cache anew: {ENCODE}.') from error
    if finished and not manifest.finished:
        done = sum(_shard_path(folder, shard).is_file() for shard in range(manifest.num_shards))
        raise DataError(
            f'The token cache {folder} is unfinished ({done} of {manifest.num_shards} shards); '
            f'run the same command again, it goes on: {ENCODE}.'
        )
    return manifest


class TokenCache:
    """Reads the ids of images; the shards are mapped into memory, so that all workers share one copy.

    Args:
        folder: Folder of a finished cache.

    Attributes:
        manifest: What the ids are.

    Raises:
        DataError: There is no finished cache in the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = str(folder)
        self.manifest = read_manifest(folder)
        ends = np.cumsum([rows * columns for rows, columns in self.manifest.views])
        self._ends = [0, *ends.tolist()]
        self._shards: dict[int, np.ndarray] = {}

    def is_damaged(self, image: int) -> bool:
        """Whether the image could not be decoded when the cache was made."""
        return self._row(image)[0] == self.manifest.no_id

    def ids(self, image: int, view: int) -> np.ndarray:
        """Ids of one view of image number ``image``, (rows, columns)."""
        row = self._row(image)[self._ends[view] : self._ends[view + 1]]
        return row.reshape(self.manifest.views[view])

    def _row(self, image: int) -> np.ndarray:
        shard, row = divmod(image, self.manifest.shard_images)
        if shard not in self._shards:
            self._shards[shard] = _open_shard(self.folder, self.manifest, shard)
        return self._shards[shard][row]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_shards': {}}  # a process that is started anew maps the files itself


class TokenCacheWriter:
    """Writes shards, in any order; those that are there already are kept.

    A shard is written under another name and renamed when it is whole, so an interrupted run leaves no half shard.

    Args:
        folder: Folder of the cache; a new one, or that of an interrupted run with the same settings.
        manifest: What the ids will be.

    Raises:
        ConfigError: The folder holds a cache with other settings.
        DataError: The manifest of the folder, or a shard, is damaged.
    """

    def __init__(self, folder: str | Path, manifest: CacheManifest) -> None:
        self.folder = Path(folder)
        self.manifest = manifest
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / MANIFEST).is_file():
            found = read_manifest(folder, finished=False)
            name = found.first_difference(manifest)
            if name is not None:
                raise ConfigError(
                    f'{folder} holds a token cache with another {name} ({_short(getattr(found, name))} there, '
                    f'{_short(getattr(manifest, name))} wanted); choose another --out, or delete the folder.'
                )
        else:
            self._write_manifest(manifest)

    def missing_shards(self) -> list[int]:
        """Numbers of the shards that are not there yet."""
        return [shard for shard in range(self.manifest.num_shards) if not _shard_path(self.folder, shard).is_file()]

    def write(self, shard: int, rows: np.ndarray) -> None:
        """Write one shard.

        Args:
            shard: Its number.
            rows: Ids (images, ids an image), -1 in the rows of damaged images.
        """
        expected = (len(self.manifest.shard_range(shard)), self.manifest.ids_per_image)
        if rows.shape != expected or rows.max() >= self.manifest.vocabulary_size:
            raise DataError(
                f'Shard {shard} of {self.folder} wants {expected} ids below {self.manifest.vocabulary_size}, but the '
                f'tokenizer made {rows.shape} up to {rows.max()}; its grid_size or vocabulary_size is wrong.'
            )
        path = _shard_path(self.folder, shard)
        partial = path.with_suffix(f'.{os.getpid()}.part')
        with open(partial, 'wb') as file:
            np.save(file, np.where(rows < 0, self.manifest.no_id, rows).astype(self.manifest.dtype))
        os.replace(partial, path)

    def finish(self) -> CacheManifest:
        """Note the damaged images and that all shards are there."""
        damaged: list[int] = []
        for shard in range(self.manifest.num_shards):
            column = _open_shard(self.folder, self.manifest, shard)[:, 0]
            damaged += [self.manifest.shard_range(shard)[row] for row in np.flatnonzero(column == self.manifest.no_id)]
        manifest = dataclasses.replace(self.manifest, finished=True, damaged=damaged)
        self._write_manifest(manifest)
        return manifest

    def _write_manifest(self, manifest: CacheManifest) -> None:
        partial = self.folder / f'{MANIFEST}.{os.getpid()}.part'
        partial.write_text(json.dumps(dataclasses.asdict(manifest), indent=2) + '\n', encoding='utf-8')
        os.replace(partial, self.folder / MANIFEST)


def _shard_path(folder: str | Path, shard: int) -> Path:
    return Path(folder) / f'ids-{shard:05d}.npy'


def _open_shard(folder: str | Path, manifest: CacheManifest, shard: int) -> np.ndarray:
    path = _shard_path(folder, shard)
    try:
        rows = np.load(path, mmap_mode='r')
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f'{path} cannot be read ({error}); delete it and run again: {ENCODE}.') from error
    expected = (len(manifest.shard_range(shard)), manifest.ids_per_image)
    if rows.shape != expected or rows.dtype != manifest.dtype:
        raise DataError(
            f'{path} holds {rows.shape} {rows.dtype} but the manifest says {expected} {manifest.dtype}; '
            f'delete it and run again: {ENCODE}.'
        )
    return rows


def _short(value: object, length: int = 60) -> str:
    text = json.dumps(value) if isinstance(value, (dict, Sequence)) else str(value)
    return text if len(text) <= length else f'{text[:length]}...'
