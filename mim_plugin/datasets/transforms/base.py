"""Base of our pipeline steps (mmcv's needs mmcv, which pretraining does without)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from mim_plugin.datasets.transforms.randomness import process_rng

__all__ = ['Transform']


class Transform(ABC):
    """One step of a pipeline: takes the dict of a sample and returns it, changed."""

    def __call__(self, results: dict) -> dict:
        """Run the step, as mmengine's ``Compose`` calls it."""
        return self.transform(results)

    @abstractmethod
    def transform(self, results: dict) -> dict:
        """Change the dict of one sample."""

    @staticmethod
    def rng(results: dict) -> np.random.Generator:
        """Generator of this sample."""
        rng = results.get('rng')
        return process_rng() if rng is None else rng
