"""Figures of frozen features, and of what needs no network, in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from mim_plugin.apis.long_commands.labelled_images import LabelledImages
from mim_plugin.evaluation.baselines import Standardizer, majority_baseline, thumbnail_features
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.knn import knn_votes
from mim_plugin.evaluation.logistic import logistic_regression
from mim_plugin.evaluation.scores import balanced_accuracy, roc_auc, top_k_accuracy

__all__ = [
    'NEIGHBORS',
    'RAW_THUMBNAILS',
    'feature_set',
    'knn_score',
    'label_score',
    'majority_score',
    'rounded',
    'thumbnails',
]

STRENGTHS = (1.0, 0.1, 0.01, 0.001, 0.0001)  # inverse penalties to choose from
FOLDS = 3
NEIGHBORS = 20
THUMBNAIL = 16
RAW_THUMBNAILS = f'raw thumbnails {THUMBNAIL} x {THUMBNAIL}'  # row of the tables


def feature_set(features: torch.Tensor, labels: torch.Tensor) -> FeatureSet:
    """Features of all images of a part, in their order."""
    return FeatureSet(features, labels, torch.arange(len(labels)))


def rounded(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Scores as they are kept, with two decimals."""
    return {name: {key: round(value, 2) for key, value in row.items()} for name, row in scores.items()}


def knn_score(train: FeatureSet, test: FeatureSet) -> dict[str, float]:
    """Scores a vote of 20 neighbours (cosine, temperature 0.07).

    Args:
        train: Features that may be learnt from.
        test: Features of the held-out images.

    Returns:
        ``balanced`` (balanced accuracy), ``accuracy`` and, for two classes, ``auc`` (ROC-AUC).
    """
    classes = int(train.labels.max()) + 1
    votes = knn_votes(train.features, train.labels, test.features, min(NEIGHBORS, len(train)), num_classes=classes)
    knn = {
        'balanced': balanced_accuracy(votes.argmax(1), test.labels),
        'accuracy': top_k_accuracy(votes, test.labels),
    }
    if classes == 2:
        knn['auc'] = roc_auc(votes[:, 1] / votes.sum(1), test.labels == 1)
    return knn


def label_score(draws: Sequence[FeatureSet], test: FeatureSet) -> dict[str, float]:
    """Scores logistic regression on each draw of training rows; the penalty is chosen on (three of) the draws alone.

    One strength for all rows of the table would favour some of them: the best one for 256 pixels and for 192
    features differ by orders of magnitude, and the figures by ten points. Keys as of :func:`knn_score`.
    """
    strength = STRENGTHS[2]
    if int(draws[0].labels.bincount().min()) >= 2 * FOLDS:
        strength = max(STRENGTHS, key=lambda value: sum(_fold_score(draw, value) for draw in draws[:3]))
    return _mean([logistic_regression(draw, test, C=strength) for draw in draws])


def _fold_score(train: FeatureSet, strength: float) -> float:
    """Mean score of three folds of the training rows; a fold is a run of neighbours of each class."""
    place = torch.empty(len(train), dtype=torch.int64)
    for label in train.labels.unique():
        rows = (train.labels == label).nonzero()[:, 0]
        place[rows] = torch.arange(len(rows)) * FOLDS // len(rows)
    scores = []
    for fold in range(FOLDS):
        found = logistic_regression(train.take(place != fold), train.take(place == fold), C=strength)
        scores.append(found.get('auc', found['balanced_accuracy']))
    return sum(scores) / FOLDS


def _mean(results: list[dict[str, float]]) -> dict[str, float]:
    """Means over the draws, under the names of the table, and the sample deviation of the ROC-AUC."""
    names = {'balanced_accuracy': 'balanced', 'accuracy': 'accuracy', 'auc': 'auc'}
    table = {names[key]: torch.tensor([result[key] for result in results]) for key in results[0]}
    means = {key: float(values.mean()) for key, values in table.items()}
    if 'auc' in table and len(results) > 1:
        means['auc_std'] = float(table['auc'].std())
    return means


def majority_score(images: LabelledImages) -> dict[str, float]:
    """The most frequent class for every image; keys as of :func:`knn_score`."""
    scores = majority_baseline(images.labels('train'), images.labels('test'))
    return {key.removesuffix('_accuracy'): round(value, 2) for key, value in scores.items()}


def thumbnails(images: LabelledImages) -> tuple[tuple[FeatureSet, FeatureSet], tuple[FeatureSet, FeatureSet]]:
    """Pixels of 16 x 16 copies of the training and of the test images.

    Returns:
        Training and test features as they are, and both with equal variance in every dimension.
    """
    train, test = _thumbnails(images, 'train'), _thumbnails(images, 'test')
    scale = Standardizer(train)
    return (train, test), (scale(train), scale(test))


def _thumbnails(images: LabelledImages, part: str) -> FeatureSet:
    pixels = [sample['inputs'] for sample in getattr(images, part)]
    grey = all(bool((image == image[:1]).all()) for image in pixels[:100])
    return feature_set(thumbnail_features(pixels, THUMBNAIL, grey), images.labels(part))
