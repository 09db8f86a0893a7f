"""Which patches of two crops show the same place of the image."""

from __future__ import annotations

import numpy as np

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.datasets.transforms.masking import grid_of_crop
from mim_plugin.errors import ConfigError
from mim_plugin.registry import TRANSFORMS

__all__ = ['MatchPatches', 'match_by_position', 'patch_centers']

Box = tuple[int, int, int, int]


def patch_centers(box: Box, flipped: bool, grid: tuple[int, int]) -> np.ndarray:
    """Where the centres of a crop's patches lie in the image.

    Args:
        box: ``(left, top, right, bottom)`` of the crop in pixels of the image.
        flipped: Whether the crop is mirrored left to right.
        grid: Rows and columns of patches.

    Returns:
        ``(rows * columns, 2)``, x and y in pixels of the image.
    """
    left, top, right, bottom = box
    rows, columns = grid
    x = left + (np.arange(columns) + 0.5) / columns * (right - left)
    y = top + (np.arange(rows) + 0.5) / rows * (bottom - top)
    x = x[::-1] if flipped else x
    return np.stack([np.tile(x, rows), np.repeat(y, columns)], axis=1)


def match_by_position(
    box: Box, flipped: bool, grid: tuple[int, int], other_box: Box, other_flipped: bool, other_grid: tuple[int, int]
) -> np.ndarray:
    """For every patch of a crop the patch of another crop that covers its centre.

    Args:
        box: ``(left, top, right, bottom)`` of the crop in pixels of the image.
        flipped: Whether the crop is mirrored left to right.
        grid: Rows and columns of its patches.
        other_box: The same of the other crop.
        other_flipped: The same.
        other_grid: The same.

    Returns:
        ``(rows * columns,)`` int64, row-major index of the partner, -1 where the centre is outside.
    """
    left, top, right, bottom = other_box
    rows, columns = other_grid
    x, y = patch_centers(box, flipped, grid).T
    column = np.floor((x - left) / (right - left) * columns).astype(np.int64)
    row = np.floor((y - top) / (bottom - top) * rows).astype(np.int64)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    if other_flipped:
        column = columns - 1 - column
    return np.where(inside, row * columns + column, -1)


@TRANSFORMS.register_module()
class MatchPatches(Transform):
    """Pairs every patch of a global crop with the patch of the next crop that shows the same place.

    The crop after the last is the first.

    Args:
        patch_size: Side of a patch in pixels.
    """

    def __init__(self, patch_size: int = 16) -> None:
        self.patch_size = patch_size

    def transform(self, results: dict) -> dict:
        """Add ``matches``, one array ``(N,)`` for each of ``global_crops``, see :func:`match_by_position`."""
        if 'crop_boxes' not in results:
            raise ConfigError('MatchPatches is not told where the crops lie; put it after MultiCrop in train_pipeline.')
        where = 'global_size of MultiCrop or patch_size of MatchPatches'
        crops = [
            (box, flipped, grid_of_crop(crop.size, self.patch_size, where))
            for (box, flipped), crop in zip(results['crop_boxes'], results['global_crops'])
        ]
        results['matches'] = [match_by_position(*crop, *other) for crop, other in zip(crops, crops[1:] + crops[:1])]
        return results
