"""What is kept of a data set once its features are extracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mim_plugin.errors import DataError

UNLABELLED = -1


@dataclass(frozen=True)
class FeatureSet:
    """Features of images with their labels and places in the data set, on the CPU.

    Attributes:
        features: ``(N, D)`` float32.
        labels: ``(N,)`` int64, -1 where an image has none.
        indices: ``(N,)`` int64, number of each image in its data set.
    """

    features: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> FeatureSet:
        """The rows of an index or a boolean mask."""
        return FeatureSet(self.features[rows], self.labels[rows], self.indices[rows])

    def labelled(self) -> FeatureSet:
        """The rows that have a label."""
        return self.take(self.labels != UNLABELLED)

    def require_finite(self, name: str) -> None:
        """DataError if a feature is infinite or not a number.

        Args:
            name: What the set is, for the message.
        """
        broken = ~self.features.isfinite().all(1)
        if broken.any():
            raise DataError(
                f'The features of {int(broken.sum())} of {len(self)} {name} images are not finite (first: sample '
                f'{int(self.indices[broken][0])}); the weights or the pixel statistics are wrong, check the checkpoint.'
            )

    @staticmethod
    def cat(sets: Sequence[FeatureSet]) -> FeatureSet:
        """Rows of several sets, one after the other."""
        if not sets:
            raise DataError('No image came out of the evaluation dataloader; check its dataset and sampler.')
        tables = zip(*((part.features, part.labels, part.indices) for part in sets), strict=True)
        return FeatureSet(*(torch.cat(table) for table in tables))
