"""Figures of frozen features: what chooses the lr, and what the table shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.utils.data import DataLoader

from mim_plugin.apis.compare_methods.options import Arm
from mim_plugin.apis.long_commands.frozen_features import (
    NEIGHBORS,
    RAW_THUMBNAILS,
    knn_score,
    label_score,
    majority_score,
    rounded,
    thumbnails,
)
from mim_plugin.apis.long_commands.labelled_images import LabelledImages
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.features import extract_features
from mim_plugin.evaluation.knn import nearest_neighbors, weighted_votes
from mim_plugin.evaluation.scores import top_k_accuracy

__all__ = ['POOLINGS', 'baseline_rows', 'leave_one_out', 'pooled', 'score']

POOLINGS = ('cls', 'patches')
TEMPERATURE = 0.07


def pooled(model: nn.Module, arm: Arm, samples: Sequence[dict], device: str) -> dict[str, FeatureSet]:
    """Features of images after the final norm under both poolings.

    Args:
        model: An algorithm or a ``FeatureExtractor(avgpool=2)``.
        arm: Says which network counts.
        samples: Samples of the evaluation pipeline.
        device: Where to compute.

    Returns:
        'cls' and 'patches' (mean of the patch tokens).
    """
    loader = DataLoader(list(samples), batch_size=128, collate_fn=pseudo_collate)
    found = extract_features(model, loader, device=device, network=arm.network, avgpool=2)
    halves = found.features.chunk(2, dim=1)
    return {name: FeatureSet(half, found.labels, found.indices) for name, half in zip(POOLINGS, halves, strict=True)}


def leave_one_out(train: FeatureSet) -> float:
    """Accuracy in percent of the k-NN vote on the training images, each classified by the others.

    Args:
        train: Labelled features of training images; no test image is needed.
    """
    count = min(NEIGHBORS, len(train) - 1)
    values, rows = nearest_neighbors(train.features, train.features, count + 1)
    others = rows != torch.arange(len(train))[:, None]
    # Where many equal images push it out of its own neighbours, the last of them goes instead.
    others[others.all(1), -1] = False
    values, rows = values[others].view(-1, count), rows[others].view(-1, count)
    votes = weighted_votes(values, train.labels[rows], TEMPERATURE, int(train.labels.max()) + 1)
    return round(top_k_accuracy(votes, train.labels), 2)


def score(train: FeatureSet, test: FeatureSet) -> dict[str, dict[str, float]]:
    """``knn`` (20 neighbours) and ``linear`` (logistic regression on all labels), figures in percent."""
    return rounded({'knn': knn_score(train, test), 'linear': label_score([train], test)})


def baseline_rows(images: LabelledImages) -> list[dict]:
    """What needs no network: the most frequent class, thumbnails, thumbnails of equal variance in every dimension."""
    rows = [{'name': 'majority class', **dict.fromkeys(('knn', 'linear'), majority_score(images))}]
    for name, parts in zip((RAW_THUMBNAILS, 'standardised thumbnails'), thumbnails(images), strict=True):
        rows.append({'name': name, **score(*parts)})
    return rows
