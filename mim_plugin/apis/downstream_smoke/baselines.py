"""What a task's figure is without any network, by the same metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mim_plugin.apis.compare_methods.scoring import baseline_rows
from mim_plugin.apis.quickstart.features import load_labelled_images
from mim_plugin.apis.quickstart.layout import SPLITS
from mim_plugin.apis.quickstart.segmentation import color_row, constant_row, read_mask, scene_pairs

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
    return {row['name']: {'accuracy/top1': row['linear']['accuracy']} for row in baseline_rows(images)}
