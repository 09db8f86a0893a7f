"""Rows of frozen features: what a network knows before anybody tunes it, beside what needs no network."""

import math

from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mim_plugin.apis.long_commands.frozen_features import (
    RAW_THUMBNAILS,
    feature_set,
    knn_score,
    label_score,
    majority_score,
    rounded,
    thumbnails,
)
from mim_plugin.apis.long_commands.labelled_images import LabelledImages
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.features import extract_features
from mim_plugin.evaluation.logistic import draw_rows

__all__ = ['auc_error', 'baseline_rows', 'feature_row', 'few_labels', 'score_features']

FEW_LABELS = 20
DRAWS = 10


def few_labels(labels: Tensor) -> int:
    """Labels a class of the columns with few labels: 20, or what the smallest class has."""
    return min(FEW_LABELS, int(labels.bincount().min()))


def score_features(train: FeatureSet, test: FeatureSet, seed: int) -> dict[str, dict[str, float]]:
    """Scores features with a k-NN vote and with logistic regression.

    Args:
        train: Features that may be learnt from.
        test: Features of the held-out images.
        seed: Which labels belong to the few.

    Returns:
        ``knn``, ``few`` (20 labels a class, or as many as the smallest class has; mean of ten draws) and ``all``,
        each with ``balanced`` (balanced accuracy), ``accuracy`` and, for two classes, ``auc`` (ROC-AUC), all in
        percent.
    """
    few = few_labels(train.labels)
    draws = [train.take(draw_rows(train.labels, few, (seed, i))) for i in range(DRAWS)]
    return rounded({'knn': knn_score(train, test), 'few': label_score(draws, test), 'all': label_score([train], test)})


def baseline_rows(images: LabelledImages, seed: int) -> list[dict]:
    """Rows that need no network: always the most frequent class, and thumbnails.

    Args:
        images: Labelled images.
        seed: Which labels belong to the few.

    Returns:
        Rows ``{'name': ..., 'knn': ..., 'few': ..., 'all': ...}``.
    """
    rows = [{'name': 'majority class', **dict.fromkeys(('knn', 'few', 'all'), majority_score(images))}]
    for name, parts in zip((RAW_THUMBNAILS, 'thumbnails, standardised'), thumbnails(images), strict=True):
        rows.append({'name': name, **score_features(*parts, seed)})
    return rows


def feature_row(name: str, model: nn.Module, images: LabelledImages, seed: int, device: str) -> dict:
    """Scores the frozen features of a network.

    Args:
        name: Name of the row.
        model: A ``FeatureExtractor``.
        images: Labelled images.
        seed: Which labels belong to the few.
        device: Where to compute.

    Returns:
        A row.
    """
    parts = []
    for part in ('train', 'test'):
        loader = DataLoader(getattr(images, part), batch_size=128, collate_fn=pseudo_collate)
        found = extract_features(model, loader, device=device)
        parts.append(feature_set(found.features, images.labels(part)))
    return {'name': name, **score_features(*parts, seed)}


def auc_error(auc: float, positives: int, negatives: int) -> float:
    """Standard error of an area under the ROC curve that comes from the finite test set.

    Args:
        auc: Area in percent.
        positives: Test images of one class.
        negatives: Test images of the other class.

    Returns:
        Standard error in percentage points.

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
    curve", Radiology 1982, equation 2.
    """
    area = auc / 100
    both_positive = area / (2 - area)
    both_negative = 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (positives - 1) * (both_positive - area**2) + (negatives - 1) * (both_negative - area**2)
    return 100 * math.sqrt(variance / (positives * negatives))
