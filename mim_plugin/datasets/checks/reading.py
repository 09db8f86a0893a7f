"""Reading many images and masks in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

__all__ = ['ImageFile', 'MaskFile', 'map_files', 'read_image', 'read_mask']

_ORIENTATION = 0x0112  # EXIF; from 5 on the picture lies on its side
_FEW = 256  # files that are read sooner than processes start


@dataclass
class ImageFile:
    """Attributes: ``size`` (width, height) as it is seen, or None, and then ``error`` says why."""

    size: tuple[int, int] | None = None
    error: str = ''


@dataclass
class MaskFile(ImageFile):
    """A mask; ``pixels`` counts the pixels of each value in it, None if it has more than one of ``channels``."""

    pixels: dict[int, int] | None = None
    channels: int = 1


def read_image(path: str) -> ImageFile:
    """Decode an image, JPEG at an eighth of its size: that reads all of the file and is several times as fast."""
    try:
        with Image.open(path) as image:
            size = image.size
            if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):
                size = size[::-1]
            image.draft('RGB', (max(size[0] // 8, 1), max(size[1] // 8, 1)))
            image.load()
    except Exception as error:  # a decoder meets damage with any exception
        return ImageFile(error=_reason(path, error))
    return ImageFile(size)


def read_mask(path: str) -> MaskFile:
    """Count the values of a mask with one channel; those of a palette image are its indices."""
    try:
        with Image.open(path) as mask:
            if len(mask.getbands()) > 1:
                return MaskFile(mask.size, channels=len(mask.getbands()))
            if mask.mode in ('L', 'P'):
                return MaskFile(mask.size, pixels={value: n for value, n in enumerate(mask.histogram()) if n})
            values, counts = np.unique(np.asarray(mask).astype(np.int64), return_counts=True)
            return MaskFile(mask.size, pixels=dict(zip(values.tolist(), counts.tolist(), strict=True)))
    except Exception as error:
        return MaskFile(error=_reason(path, error))


def _reason(path: str, error: Exception) -> str:
    if not os.path.exists(path):
        return 'link to nothing' if os.path.islink(path) else 'does not exist'
    if not os.path.getsize(path):
        return 'empty file'
    return 'not an image that can be read' if type(error).__name__ == 'UnidentifiedImageError' else str(error)


def map_files(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    workers: int | None = None,
    progress: str = '',
) -> list[Any]:
    """Call a function for each task.

    Args:
        function: Function of a module.
        tasks: Its arguments.
        workers: Processes; None: one for each core.
        progress: Title of a bar on stderr; no bar without it.

    Returns:
        The results in the order of the tasks.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    bar = dict(description=progress, total=len(tasks), disable=not progress, console=Console(stderr=True))
    if workers <= 1 or len(tasks) <= _FEW:
        return list(track(map(function, tasks), **bar))
    with ProcessPoolExecutor(workers) as pool:
        return list(track(pool.map(function, tasks, chunksize=32), **bar))
