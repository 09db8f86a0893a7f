"""Base of our pipeline steps (mmcv's needs mmcv, which pretraining does without)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from mim_plugin.datasets.transforms.randomness import process_rng

if TYPE_CHECKING:
    from mim_plugin.datasets.image_dataset import ImageDataset

__all__ = ['Transform']


class Transform(ABC):
    """One step of a pipeline: takes the dict of a sample and returns it, changed."""

    def __call__(self, results: dict) -> dict:
        """Run the step, as mmengine's ``Compose`` calls it."""
        return self.transform(results)

    def prepare(self, dataset: ImageDataset) -> None:  # noqa: B027  most steps have nothing to prepare
        """Get to know the images, once they are known and before the first is loaded."""

    @abstractmethod
    def transform(self, results: dict) -> dict:
        """Change the dict of one sample."""

    @staticmethod
    def rng(results: dict) -> np.random.Generator:
        """Generator of this sample."""
        rng = results.get('rng')
        return process_rng() if rng is None else rng
