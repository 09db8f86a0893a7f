"""Images of class folders under the evaluation transform, decoded once for all rows of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mim_plugin.apis.long_commands.folders import ClassFolders
from mim_plugin.errors import DataError
from mim_plugin.registry import DATASETS

__all__ = ['LabelledImages', 'load_images', 'load_labelled_images']

MAX_IMAGES = 5000  # of each part; more do not fit into minutes


@dataclass(frozen=True)
class LabelledImages:
    """Test and training images.

    Attributes:
        train: Samples of the evaluation pipeline.
        test: The same of the test images.
        names: Class names in the order of the labels.
    """

    train: list[dict]
    test: list[dict]
    names: tuple[str, ...]

    def labels(self, part: str) -> torch.Tensor:
        """Labels of ``train`` or ``test``, ``(N,)`` int64."""
        return torch.tensor([int(sample['data_samples'].gt_label) for sample in getattr(self, part)])


def load_labelled_images(folders: ClassFolders, pipeline: Sequence[dict], limit: int = MAX_IMAGES) -> LabelledImages:
    """Decodes labelled images.

    Args:
        folders: Class folders.
        pipeline: Evaluation pipeline, ending in ``PackImage``.
        limit: At most so many images of each part, evenly spread over the sorted list.

    Returns:
        The images.

    Raises:
        DataError: If a class has no test image.
    """
    parts = [load_images(root, pipeline, limit) for root in (folders.train, folders.val)]
    images = LabelledImages(*parts, folders.names)
    missing = set(range(len(folders.names))) - set(images.labels('test').tolist())
    if missing:
        raise DataError(f'{folders.val} has no image of class {folders.names[min(missing)]}: add some.')
    return images


def load_images(folder: Path, pipeline: Sequence[dict], limit: int = MAX_IMAGES) -> list[dict]:
    """Decodes the images of class folders; see :func:`load_labelled_images`."""
    dataset = DATASETS.build({'type': 'ImageFolderLabels', 'data_root': str(folder), 'pipeline': list(pipeline)})
    step = max(1, math.ceil(len(dataset) / limit))
    return [dataset[i] for i in range(0, len(dataset), step)]
