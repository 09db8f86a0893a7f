"""Samplers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.dataset import DefaultSampler

from mim_plugin.registry import DATA_SAMPLERS

__all__ = ['ResumableSampler']


@DATA_SAMPLERS.register_module()
class ResumableSampler(DefaultSampler):
    """mmengine's DefaultSampler that can start in the middle of an epoch.

    The order of an epoch depends on the seed and the epoch only, so a run that
    is resumed with :meth:`skip` sees exactly the images that it had not seen.

    Args:
        *args: See :class:`mmengine.dataset.DefaultSampler` (dataset, shuffle, seed, round_up).
        **kwargs: The same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._skip = 0

    def skip(self, num_samples: int) -> None:
        """Leave out the first samples of this process in the next epoch only.

        Args:
            num_samples: Number of samples that this process has already seen in it.
        """
        self._skip = num_samples

    def __iter__(self) -> Iterator[int]:
        """Indices of this process. The length stays that of a whole epoch."""
        indices = list(super().__iter__())[self._skip :]
        self._skip = 0
        return iter(indices)
