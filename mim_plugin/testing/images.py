"""Small generated images, so that tests need no data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ['generate_image', 'write_image_folder', 'write_segmentation_folder']


def generate_image(rng: np.random.Generator, size: tuple[int, int] = (72, 80)) -> Image.Image:
    """A picture with coarse and fine structure in colour.

    Args:
        rng: Source of randomness.
        size: (H, W) in pixels.
    """
    height, width = size
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    noise = rng.integers(-16, 17, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse, np.int64) + noise, 0, 255).astype(np.uint8))


def write_image_folder(root: str | Path, per_class: int = 2, classes: int = 2, seed: int = 0) -> Path:
    """Write ``root/class_<c>/<i>.jpg``; a folder for labelled and for unlabelled images.

    Returns:
        The folder.
    """
    root, rng = Path(root), np.random.default_rng(seed)
    for label in range(classes):
        folder = root / f'class_{label}'
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            generate_image(rng).save(folder / f'{index}.jpg')
    return root


def write_segmentation_folder(images: str | Path, labels: str | Path, count: int = 4, classes: int = 4) -> None:
    """Write ``images/<i>.jpg`` and their class maps ``labels/<i>.png``, grey values 0 to ``classes - 1``."""
    images, labels, rng = Path(images), Path(labels), np.random.default_rng(0)
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = generate_image(rng)
        image.save(images / f'{index}.jpg')
        coarse = Image.fromarray(rng.integers(0, classes, (5, 5), dtype=np.uint8))
        coarse.resize(image.size, Image.NEAREST).save(labels / f'{index}.png')
