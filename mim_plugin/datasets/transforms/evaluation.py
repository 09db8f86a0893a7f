"""Deterministic resizing for frozen-feature evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.registry import TRANSFORMS

__all__ = ['CenterCrop', 'ResizeShortSide']


@TRANSFORMS.register_module()
class ResizeShortSide(Transform):
    """Resize bicubically so that the shorter side has a given length (torchvision's ``Resize``).

    Args:
        size: Length of the shorter side in pixels. The longer side is rounded down.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def transform(self, results: dict) -> dict:
        """Resize ``img`` (PIL)."""
        image = results['img']
        short, long = sorted(image.size)
        if short != self.size:
            long = int(self.size * long / short)
            size = (self.size, long) if image.width <= image.height else (long, self.size)
            results['img'] = image = image.resize(size, Image.Resampling.BICUBIC)
        results['img_shape'] = (image.height, image.width)
        return results


@TRANSFORMS.register_module()
class CenterCrop(Transform):
    """Cut the centre; smaller images are padded with black (torchvision's ``CenterCrop``).

    Args:
        size: Side in pixels, or ``(rows, columns)``.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = (size, size) if isinstance(size, int) else tuple(size)

    def transform(self, results: dict) -> dict:
        """Crop ``img`` (PIL)."""
        image = results['img']
        rows, columns = self.size
        top, left = _center(image.height, rows), _center(image.width, columns)
        results['img'] = image.crop((left, top, left + columns, top + rows))
        results['img_shape'] = self.size
        return results


def _center(length: int, wanted: int) -> int:
    if length < wanted:
        return -((wanted - length) // 2)
    return round((length - wanted) / 2)
