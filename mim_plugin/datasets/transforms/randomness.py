"""Random numbers of the data path.

Every random decision about a sample is drawn from one ``numpy.random.Generator``.
A data set that knows the epoch passes ``results['rng']``, made by :func:`sample_rng`:
the views of a sample are then a function of (seed, epoch, index) alone, equal for any
number of workers, any number of GPUs and after a resume in mid-epoch. Transforms that
run without such a data set draw from :func:`process_rng`.
"""

from __future__ import annotations

import os

import numpy as np
from torch.utils.data import get_worker_info

__all__ = ['process_rng', 'sample_rng', 'uniform_int']

_process_rngs: dict[tuple[int, int], np.random.Generator] = {}


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Generator of one sample in one epoch; any two differ in at least one of the three."""
    return np.random.default_rng((seed, epoch, index))


def process_rng() -> np.random.Generator:
    """Generator of this process, for transforms that were given none.

    It is seeded by the loader's seed of this worker, which is new in every epoch, and by
    numpy's global state, which mmengine's ``worker_init_fn`` seeds by rank and worker. So
    epochs, workers and ranks differ, though restarted workers get equal global seeds.
    """
    worker = get_worker_info()
    key = (os.getpid(), worker.seed if worker else 0)
    if key not in _process_rngs:
        _process_rngs.clear()  # a forked worker inherits its parent's
        _process_rngs[key] = np.random.default_rng((key[1], np.random.randint(2**31)))
    return _process_rngs[key]


def uniform_int(rng: np.random.Generator, count: int) -> int:
    """Draw one of 0 .. count-1; for small ranges several times faster than ``rng.integers``."""
    return int(rng.random() * count)
