"""What no learning at all reaches: the rows that every table of results should show.

On small or easy data sets the thumbnail row is often close to, or above, a network that was
trained for minutes; a figure without it says little.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from mim_plugin.evaluation.feature_set import FeatureSet


def majority_baseline(train_labels: Tensor, test_labels: Tensor) -> dict[str, float]:
    """Accuracy of always answering the most frequent training class.

    Args:
        train_labels: ``(N,)`` int64, not negative.
        test_labels: ``(Q,)`` int64.

    Returns:
        ``accuracy`` and ``balanced_accuracy`` in percent; with two classes also ``auc``, which is 50.
    """
    majority = int(train_labels.bincount().argmax())
    scores = {
        'accuracy': (test_labels == majority).double().mean().item() * 100,
        'balanced_accuracy': 100.0 / len(test_labels.unique()) if (test_labels == majority).any() else 0.0,
    }
    if int(torch.cat([train_labels, test_labels]).max()) == 1:
        scores['auc'] = 50.0
    return scores


def thumbnail_features(images: Tensor | Sequence[Tensor], size: int = 16, grey: bool = False) -> Tensor:
    """Pixels of small copies as features, each cell the mean of its area.

    Args:
        images: ``(B, C, H, W)`` or B images ``(C, H, W)`` of any sizes, any numeric type.
        size: Rows and columns of the copy.
        grey: Average the channels.

    Returns:
        ``(B, C * size * size)`` float32, one channel's worth when ``grey``.
    """
    small = torch.stack([F.adaptive_avg_pool2d(image.float(), size) for image in images])
    if grey:
        small = small.mean(1, keepdim=True)
    return small.flatten(1)


class Standardizer:
    """Per-dimension mean and deviation of a set whose rows may be spread over processes.

    Args:
        part: This process's rows.
    """

    def __init__(self, part: FeatureSet) -> None:
        rows = part.features.double()
        moments = torch.cat([rows.new_tensor([len(part)]), rows.sum(0), rows.square().sum(0)])
        all_reduce(moments)
        count, (total, squares) = moments[0], moments[1:].chunk(2)
        self.mean = total / count
        self.std = (squares / count - self.mean.square()).clamp(min=0).sqrt()

    def __call__(self, part: FeatureSet) -> FeatureSet:
        """The set with mean 0 and deviation 1 in every dimension; constant dimensions become 0."""
        # A deviation that is rounding noise of the mean square is none.
        flat = self.std <= 1e-6 * self.mean.abs().clamp(min=1e-12)
        scale = torch.where(flat, 0.0, 1 / self.std.clamp(min=1e-12))
        features = ((part.features.double() - self.mean) * scale).float()
        return FeatureSet(features, part.labels, part.indices)
