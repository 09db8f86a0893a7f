"""Rows of frozen features: what a network knows before anybody tunes it, beside what needs no network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.utils.data import DataLoader

from mim_plugin.apis.quickstart.layout import ClassFolders
from mim_plugin.errors import DataError
from mim_plugin.evaluation.baselines import Standardizer, thumbnail_features
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.features import extract_features
from mim_plugin.evaluation.knn import knn_votes
from mim_plugin.evaluation.logistic import draw_rows, logistic_regression
from mim_plugin.evaluation.scores import balanced_accuracy, roc_auc, top_k_accuracy
from mim_plugin.registry import DATASETS

__all__ = [
    'LabelledImages',
    'auc_error',
    'baseline_rows',
    'feature_row',
    'few_labels',
    'knn_score',
    'label_score',
    'load_images',
    'load_labelled_images',
    'score_features',
    'thumbnails',
]

FEW_LABELS = 20
DRAWS = 10
STRENGTHS = (1.0, 0.1, 0.01, 0.001, 0.0001)  # inverse penalties to choose from
FOLDS = 3
NEIGHBORS = 20
MAX_IMAGES = 5000  # of each part; more do not fit into minutes
THUMBNAIL = 16


@dataclass(frozen=True)
class LabelledImages:
    """Test and training images under the evaluation transform, decoded once for all rows.

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


def _feature_set(features: torch.Tensor, labels: torch.Tensor) -> FeatureSet:
    return FeatureSet(features, labels, torch.arange(len(labels)))


def thumbnails(images: LabelledImages, part: str) -> FeatureSet:
    """Pixels of 16 x 16 copies of the ``train`` or ``test`` images."""
    pixels = [sample['inputs'] for sample in getattr(images, part)]
    grey = all(bool((image == image[:1]).all()) for image in pixels[:100])
    return _feature_set(thumbnail_features(pixels, THUMBNAIL, grey), images.labels(part))


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


def label_score(draws: Sequence[FeatureSet], test: FeatureSet) -> dict[str, float]:
    """Scores logistic regression on each draw of training rows; the penalty is chosen on (three of) the draws alone.

    One strength for all rows of the table would favour some of them: the best one for 256 pixels and for 192
    features differ by orders of magnitude, and the figures by ten points.
    """
    strength = STRENGTHS[2]
    if int(draws[0].labels.bincount().min()) >= 2 * FOLDS:
        strength = max(STRENGTHS, key=lambda value: sum(_fold_score(draw, value) for draw in draws[:3]))
    return _mean([logistic_regression(draw, test, C=strength) for draw in draws])


def _mean(results: list[dict[str, float]]) -> dict[str, float]:
    """Means over the draws, under the names of the table, and the sample deviation of the ROC-AUC."""
    names = {'balanced_accuracy': 'balanced', 'accuracy': 'accuracy', 'auc': 'auc'}
    table = {names[key]: torch.tensor([result[key] for result in results]) for key in results[0]}
    means = {key: float(values.mean()) for key, values in table.items()}
    if 'auc' in table and len(results) > 1:
        means['auc_std'] = float(table['auc'].std())
    return means


def few_labels(labels: torch.Tensor) -> int:
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
    scores = {'knn': knn_score(train, test), 'few': label_score(draws, test), 'all': label_score([train], test)}
    return {name: {key: round(value, 2) for key, value in row.items()} for name, row in scores.items()}


def knn_score(train: FeatureSet, test: FeatureSet) -> dict[str, float]:
    """Scores a vote of 20 neighbours (cosine, temperature 0.07); keys as in :func:`score_features`."""
    classes = int(train.labels.max()) + 1
    votes = knn_votes(train.features, train.labels, test.features, min(NEIGHBORS, len(train)), num_classes=classes)
    knn = {
        'balanced': balanced_accuracy(votes.argmax(1), test.labels),
        'accuracy': top_k_accuracy(votes, test.labels),
    }
    if classes == 2:
        knn['auc'] = roc_auc(votes[:, 1] / votes.sum(1), test.labels == 1)
    return knn


def baseline_rows(images: LabelledImages, seed: int) -> list[dict]:
    """Rows that need no network: always the most frequent class, and thumbnails.

    Args:
        images: Labelled images.
        seed: Which labels belong to the few.

    Returns:
        Rows ``{'name': ..., 'knn': ..., 'few': ..., 'all': ...}``.
    """
    labels = images.labels('test')
    majority = int(images.labels('train').bincount().argmax())
    constant = {
        'balanced': round(100 / len(images.names), 2),
        'accuracy': round(100 * (labels == majority).float().mean().item(), 2),
    }
    if len(images.names) == 2:
        constant['auc'] = 50.0
    rows = [{'name': 'majority class', **dict.fromkeys(('knn', 'few', 'all'), constant)}]
    train, test = thumbnails(images, 'train'), thumbnails(images, 'test')
    rows.append({'name': f'raw thumbnails {THUMBNAIL} x {THUMBNAIL}', **score_features(train, test, seed)})
    scale = Standardizer(train)
    rows.append({'name': 'thumbnails, standardised', **score_features(scale(train), scale(test), seed)})
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
        parts.append(_feature_set(found.features, images.labels(part)))
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
