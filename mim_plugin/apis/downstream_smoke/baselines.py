"""What a task's figure is without any network, by the same metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mim_plugin.apis.long_commands.color_classifier import color_row, constant_row
from mim_plugin.apis.long_commands.folders import SPLITS
from mim_plugin.apis.long_commands.frozen_features import RAW_THUMBNAILS, label_score, majority_score, thumbnails
from mim_plugin.apis.long_commands.labelled_images import load_labelled_images
from mim_plugin.apis.long_commands.segmentation import read_mask, scene_pairs

if TYPE_CHECKING:
    from mim_plugin.apis.downstream_smoke.job import Smoke

__all__ = ['class_baselines', 'scene_baselines']

THUMBNAIL_PIPELINE = [
    dict(type='LoadImagePIL'),
    dict(type='ResizeShortSide', size=96),
    dict(type='CenterCrop', size=96),
    dict(type='PackImage'),
]


def scene_baselines(smoke: Smoke) -> dict[str, dict[str, float]]:
    """Segmentation: the commonest class everywhere, and a classifier that sees colour only.

    Returns:
        Name -> metric of mmseg -> percent.
    """
    scenes = smoke.data.scenes
    classes = len(scenes.names)
    counts = sum(
        np.bincount(read_mask(mask, classes).ravel(), minlength=256)[:classes]
        for _, mask in scene_pairs(scenes, SPLITS[0])
    )
    rows = [constant_row(scenes, int(counts.argmax())), color_row(scenes, smoke.folder / 'colours', seed=0)]
    return {row['name']: {key: row[key] for key in ('mIoU', 'aAcc')} for row in rows}


def class_baselines(smoke: Smoke) -> dict[str, dict[str, float]]:
    """Classification: the most frequent class, and logistic regression on thumbnails.

    Returns:
        Name -> metric of mmpretrain -> percent.
    """
    images = load_labelled_images(smoke.data.classes, THUMBNAIL_PIPELINE)
    found = {'majority class': majority_score(images)}
    for name, (train, test) in zip((RAW_THUMBNAILS, 'standardised thumbnails'), thumbnails(images), strict=True):
        found[name] = label_score([train], test)
    return {name: {'accuracy/top1': round(row['accuracy'], 2)} for name, row in found.items()}
