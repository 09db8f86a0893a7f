"""Masks of segmentation data."""

from __future__ import annotations

import numpy as np

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.registry import TRANSFORMS

__all__ = ['IgnoreOtherLabels']


@TRANSFORMS.register_module()
class IgnoreOtherLabels(Transform):
    """Give every pixel whose label is no class the label that is not counted.

    For masks with a void class of their own, such as CamVid's 11 after the classes 0 to 10.

    Args:
        num_classes: Labels from this number on are no classes.
        ignore_index: What they become.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Change ``gt_seg_map`` ``(H, W)``, which ``LoadAnnotations`` has read; nothing where there is no mask."""
        labels = results.get('gt_seg_map')
        if labels is None:
            return results
        results['gt_seg_map'] = np.where(labels < self.num_classes, labels, self.ignore_index).astype(labels.dtype)
        return results
