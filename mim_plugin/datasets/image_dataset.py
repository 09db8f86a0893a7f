"""What all data sets of image files share: epochs, seeds and damaged files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence

import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mim_plugin.datasets.shared import EpochClock, ReadRecord
from mim_plugin.datasets.transforms import Transform, UndecodableImageError
from mim_plugin.datasets.transforms.randomness import sample_rng
from mim_plugin.errors import ConfigError, DataError

__all__ = ['ImageDataset']


class ImageDataset(BaseDataset):
    """Images on disk, one entry ``img_path`` each (base class).

    **Randomness.** After ``set_epoch`` the random decisions about a sample depend on
    (seed, epoch, index) only: equal for any number of workers and GPUs, and after a
    resume in mid-epoch. Without ``set_epoch`` (for example in an iteration-based loop)
    they come from the worker's own generator, see ``transforms/randomness.py``.

    **Damaged files.** An image that cannot be decoded is noted, logged once with its
    path, and replaced by the next readable one in order. As soon as the noted images are
    more than the share ``max_broken`` of all images, ``DataError`` names their number,
    share and first paths. The workers of one rank share the notes, so the count is that
    of the rank, over all its workers and epochs; other ranks count what they meet
    themselves. The count can therefore only be too low, never too high: a run fails only
    if the folder really holds more than that share.

    Args:
        data_root: Root folder.
        pipeline: Steps; names are looked up in mim_plugin first.
        ann_file: Text file with the images to use, relative to ``data_root``.
        data_prefix: Folder of the images, relative to ``data_root``.
        max_broken: Share of undecodable images that is tolerated, 0 for none.
        seed: Seed of the random decisions; None takes torch's at ``set_epoch``, which
            mmengine sets from ``randomness=dict(seed=...)`` of the config.
        indices: Use only the first so many images, or those at the given indices.
        lazy_init: Search the images later, at the first use.
        metainfo: Extra meta information.

    Raises:
        DataError: The folder is missing or holds no image.
    """

    def __init__(
        self,
        data_root: str = '',
        pipeline: Sequence[dict | Callable] = (),
        *,
        ann_file: str = '',
        data_prefix: str | dict = '',
        max_broken: float = 0.1,
        seed: int | None = None,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        metainfo: Mapping | None = None,
    ) -> None:
        if not 0 <= max_broken <= 1:
            raise ConfigError(f'max_broken is {max_broken} but is a share; set it to a number in [0, 1].')
        self.max_broken = max_broken
        self.seed = seed
        self._clock = EpochClock()
        self._record = ReadRecord(0)
        super().__init__(
            ann_file=ann_file or '',
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=data_prefix if isinstance(data_prefix, Mapping) else dict(img_path=data_prefix),
            indices=indices,
            pipeline=[_in_scope(step) for step in pipeline],
            lazy_init=lazy_init,
        )

    @property
    def image_folder(self) -> str:
        """Folder that paths of images are relative to."""
        return self.data_prefix['img_path'] or '.'

    def full_init(self) -> None:
        """Search the images."""
        if self._fully_initialized:
            return
        super().full_init()
        self._record = ReadRecord(len(self))
        self._prepare_steps()

    def filter_data(self) -> list[dict]:
        """Refuse a data set without images."""
        if not self.data_list:
            raise DataError(f'{self._source()} holds no image; check data_root, data_prefix and the file extensions.')
        return self.data_list

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep only some images, see mmengine's BaseDataset."""
        super().get_subset_(indices)
        self._record = ReadRecord(len(self))
        self._prepare_steps()

    def get_subset(self, indices: int | Sequence[int]) -> ImageDataset:
        """Copy with only some images, see mmengine's BaseDataset."""
        subset = super().get_subset(indices)
        subset._record = ReadRecord(len(subset))
        subset._prepare_steps()
        return subset

    def image_paths(self) -> list[str]:
        """Paths of all images, relative to :attr:`image_folder` where they lie in it."""
        folder = os.path.join(self.image_folder, '')
        return [self.get_data_info(index)['img_path'].removeprefix(folder) for index in range(len(self))]

    def set_epoch(self, epoch: int) -> None:
        """Tell the epoch (from 0) to this data set and its workers; call it before iterating the loader."""
        self._clock.set(torch.initial_seed() if self.seed is None else self.seed, epoch)

    def broken_paths(self) -> list[str]:
        """Paths of the undecodable images that this rank has met so far."""
        return [self.get_data_info(index)['img_path'] for index in self._record.indices()]

    def __getitem__(self, idx: int) -> dict:
        """Sample ``idx``, or the next readable one if it is damaged."""
        self.full_init()
        idx = range(len(self))[idx]
        for step in range(len(self)):
            index = (idx + step) % len(self)
            if self._record.is_broken(index):
                continue
            try:
                return self.prepare_data(index, sample_idx=idx)
            except UndecodableImageError as error:
                self._note_broken(index, error)
        raise DataError(f'{self._source()} holds no image that can be decoded; replace its {len(self)} files.')

    def prepare_data(self, idx: int, sample_idx: int | None = None) -> dict:
        """Run the pipeline on image ``idx`` (``image_idx``) with the random numbers of sample ``sample_idx``."""
        results = self.get_data_info(idx)
        results['image_idx'] = idx
        if sample_idx is not None:
            results['sample_idx'] = sample_idx
        clock = self._clock.get()
        if clock is not None:
            seed, results['epoch'] = clock
            results['rng'] = sample_rng(seed, results['epoch'], results['sample_idx'])
        return self.pipeline(results)

    def _prepare_steps(self) -> None:
        for step in self.pipeline.transforms:
            if isinstance(step, Transform):
                step.prepare(self)

    def _note_broken(self, index: int, error: UndecodableImageError) -> None:
        print_log(str(error), logger='current', level=logging.WARNING)
        self._record.add(index)
        count = len(self._record.indices())
        if count > self.max_broken * len(self):
            first = ', '.join(self.broken_paths()[:5])
            raise DataError(
                f'At least {count} of the {len(self)} images of {self._source()} cannot be decoded '
                f'({count / len(self):.1%}, more than max_broken={self.max_broken:g}), first {first}; '
                'remove or replace them, or raise max_broken.'
            ) from error

    def _source(self) -> str:
        return self.ann_file or self.image_folder


def _in_scope(step: dict | Callable) -> dict | Callable:
    """Let a step's name be looked up in mim_plugin whatever the default scope of the config is."""
    return {'_scope_': 'mim_plugin', **step} if isinstance(step, Mapping) else step
