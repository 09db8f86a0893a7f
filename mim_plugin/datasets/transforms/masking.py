"""Which patches of a crop are hidden (iBOT)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.datasets.transforms.randomness import uniform_int
from mim_plugin.errors import ConfigError
from mim_plugin.registry import TRANSFORMS

__all__ = ['PredictionMasks', 'PredictionRatio', 'block_mask', 'random_mask']

_TRIES = 10


class PredictionRatio:
    """Law of the share of patches to hide, drawn for every crop anew.

    For a list of centres, one value is drawn for each entry, and one of them is picked
    with equal probability: ``centers=(0, 0.3), half_widths=(0, 0.2)`` hides nothing in
    half of the crops and a share uniform in [0.1, 0.5] in the others (iBOT, section 3.2).

    Args:
        centers: Centre of the uniform law, or several.
        half_widths: Half its width, one number for all centres or one each.

    Raises:
        ConfigError: A law reaches beyond [0, 1], or the numbers of entries differ.
    """

    def __init__(self, centers: float | Sequence[float], half_widths: float | Sequence[float] = 0.0) -> None:
        self.centers = _as_tuple(centers)
        widths = _as_tuple(half_widths)
        self.half_widths = widths * len(self.centers) if len(widths) == 1 else widths
        if len(self.half_widths) != len(self.centers):
            raise ConfigError(
                f'pred_ratio has {len(self.centers)} entries and pred_ratio_var {len(widths)}; '
                'give one pred_ratio_var for all or one for each.'
            )
        for center, width in zip(self.centers, self.half_widths):
            if width < 0 or center < width or center + width > 1:
                raise ConfigError(
                    f'pred_ratio {center} with pred_ratio_var {width} reaches beyond [0, 1]; '
                    'lower pred_ratio_var or move pred_ratio.'
                )

    def draw(self, rng: np.random.Generator) -> float:
        """Draw the ratio of one crop."""
        # The unpicked values of the published code are independent of the picked one: they need no draw.
        i = uniform_int(rng, len(self.centers)) if len(self.centers) > 1 else 0
        center, width = self.centers[i], self.half_widths[i]
        return center if width == 0 else rng.uniform(center - width, center + width)


def random_mask(grid: tuple[int, int], ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Hide ``floor(ratio * cells)`` cells, uniformly without replacement.

    Args:
        grid: Rows and columns.
        ratio: Share of cells to hide.
        rng: Source of randomness.

    Returns:
        Bool array (rows, columns), True = hidden.
    """
    rows, columns = grid
    cells = np.zeros(rows * columns, dtype=bool)
    cells[: int(ratio * rows * columns)] = True
    return rng.permutation(cells).reshape(rows, columns)


def block_mask(
    grid: tuple[int, int],
    ratio: float,
    rng: np.random.Generator,
    aspect_range: tuple[float, float] = (0.3, 1 / 0.3),
) -> np.ndarray:
    """Hide rectangles until the budget of ``ratio * cells`` is used up or nothing more fits.

    The number of hidden cells never exceeds the budget and is often a little below.

    Args:
        grid: Rows and columns.
        ratio: Share of cells to hide.
        rng: Source of randomness.
        aspect_range: Range of the log-uniform aspect ratio, rows / columns.

    Returns:
        Bool array (rows, columns), True = hidden.
    """
    mask = np.zeros(grid, dtype=bool)
    budget = ratio * grid[0] * grid[1]
    count = 0
    while count < budget:
        added = _add_block(mask, budget - count, rng, aspect_range)
        if added == 0:
            break
        count += added
    return mask


def _add_block(mask: np.ndarray, room: float, rng: np.random.Generator, aspect_range: tuple[float, float]) -> int:
    """Hide one rectangle with 1 to ``room`` new cells; returns the number of new cells, 0 after 10 failures."""
    rows, columns = mask.shape
    smallest = (min(rows, columns) // 3) ** 2
    log_low, log_high = math.log(aspect_range[0]), math.log(aspect_range[1])
    for u_area, u_aspect, u_top, u_left in rng.random((_TRIES, 4)).tolist():
        area = smallest + (room - smallest) * u_area  # also when room < smallest
        aspect = math.exp(log_low + (log_high - log_low) * u_aspect)
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h >= rows or w >= columns:
            continue
        top, left = int(u_top * (rows - h + 1)), int(u_left * (columns - w + 1))
        block = mask[top : top + h, left : left + w]
        new = h * w - np.count_nonzero(block)
        if 0 < new <= room:
            block[:] = True
            return new
    return 0


_SHAPES = {'block': block_mask, 'rand': random_mask}


@TRANSFORMS.register_module()
class PredictionMasks(Transform):
    """One mask for each global crop.

    Args:
        patch_size: Side of a mask cell in pixels: the patch of a ViT; 8 patches (32
            pixels) for a Swin transformer.
        pred_ratio: Centre(s) of the share of hidden patches, see :class:`PredictionRatio`.
        pred_ratio_var: Half-width(s) of the share.
        pred_shape: ``'block'`` or ``'rand'``.
        pred_start_epoch: Nothing is hidden before this epoch (counted from 0).
    """

    def __init__(
        self,
        patch_size: int = 16,
        pred_ratio: float | Sequence[float] = 0.3,
        pred_ratio_var: float | Sequence[float] = 0.0,
        pred_shape: str = 'block',
        pred_start_epoch: int = 0,
    ) -> None:
        if pred_shape not in _SHAPES:
            raise ConfigError(f"pred_shape is '{pred_shape}'; choose one of {', '.join(_SHAPES)}.")
        self.patch_size = patch_size
        self.ratio = PredictionRatio(pred_ratio, pred_ratio_var)
        self.draw_mask = _SHAPES[pred_shape]
        self.pred_start_epoch = pred_start_epoch

    def transform(self, results: dict) -> dict:
        """Add ``masks``, a list of bool arrays (h, w), one for each of ``global_crops``."""
        rng, epoch = self.rng(results), self._epoch(results)
        results['masks'] = [self.draw(self._grid(crop.size), rng, epoch)[0] for crop in results['global_crops']]
        return results

    def draw(self, grid: tuple[int, int], rng: np.random.Generator, epoch: int = 0) -> tuple[np.ndarray, float]:
        """Draw the mask of one crop.

        Args:
            grid: Rows and columns of patches.
            rng: Source of randomness.
            epoch: Counted from 0.

        Returns:
            Bool array (h, w), True = hidden, and the share that was asked for.
        """
        ratio = self.ratio.draw(rng) if epoch >= self.pred_start_epoch else 0.0
        return self.draw_mask(grid, ratio, rng), ratio

    def _epoch(self, results: dict) -> int:
        if 'epoch' not in results and self.pred_start_epoch > 0:
            raise ConfigError(
                f'PredictionMasks has pred_start_epoch={self.pred_start_epoch} but is not told the epoch; train with '
                'ResumableEpochLoop on UnlabelledImages, or call set_epoch of the data set.'
            )
        return results.get('epoch', 0)

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        width, height = size
        if width % self.patch_size or height % self.patch_size:
            raise ConfigError(
                f'Global crops of {height} x {width} pixels do not divide into patches of {self.patch_size}; '
                'change global_size of MultiCrop or patch_size of PredictionMasks.'
            )
        return height // self.patch_size, width // self.patch_size


def _as_tuple(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)
