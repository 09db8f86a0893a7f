"""Figures of classification, all in percent."""

from __future__ import annotations

import torch
from torch import Tensor


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int = 1) -> float:
    """Share of rows whose class is among the ``k`` best-scored ones, in percent.

    Classes with equal scores are ordered by their number, so that the result is reproducible.

    Args:
        scores: ``(N, C)``, larger is better.
        labels: ``(N,)`` int64.
        k: Number of classes that may hold the right one.
    """
    own = scores.gather(1, labels[:, None])
    classes = torch.arange(scores.shape[1], device=scores.device)
    ahead = (scores > own) | ((scores == own) & (classes < labels[:, None]))
    return (ahead.sum(1) < k).double().mean().item() * 100


def balanced_accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Mean of the recalls of the classes that occur in ``labels``, in percent."""
    recalls = [(predicted[labels == label] == label).double().mean() for label in labels.unique()]
    return torch.stack(recalls).mean().item() * 100


def roc_auc(scores: Tensor, positive: Tensor) -> float:
    """Area under the ROC curve, in percent; nan when only one of the two classes occurs.

    It is the share of (positive, negative) pairs in the right order, equal scores count one half.

    Args:
        scores: ``(N,)``, larger means rather positive.
        positive: ``(N,)`` bool or 0 / 1.
    """
    positive = positive.bool()
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if num_positive == 0 or num_negative == 0:
        return float('nan')
    _, place, counts = scores.double().unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    rank = (last - (counts - 1) / 2)[place]  # equal scores share the mean of their ranks
    above = rank[positive].sum().item() - num_positive * (num_positive + 1) / 2
    return above / (num_positive * num_negative) * 100
