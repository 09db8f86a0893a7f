"""Which patches of a crop are hidden (iBOT and BEiT)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.datasets.transforms.randomness import uniform_int
from mim_plugin.errors import ConfigError
from mim_plugin.registry import TRANSFORMS

__all__ = [
    'BEiTMasks',
    'PredictionMasks',
    'PredictionRatio',
    'add_block',
    'beit_block_mask',
    'block_mask',
    'grid_of_crop',
    'random_mask',
]

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


def random_mask(grid: tuple[int, int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Hide ``count`` cells, uniformly without replacement.

    Args:
        grid: Rows and columns.
        count: Number of cells to hide.
        rng: Source of randomness.

    Returns:
        Bool array (rows, columns), True = hidden.
    """
    rows, columns = grid
    cells = np.zeros(rows * columns, dtype=bool)
    cells[:count] = True
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
    return _hide_blocks(grid, ratio * grid[0] * grid[1], (min(grid) // 3) ** 2, math.inf, aspect_range, rng)


def beit_block_mask(
    grid: tuple[int, int],
    num_masked: int,
    rng: np.random.Generator,
    min_per_block: int = 16,
    max_per_block: int | None = None,
    aspect_range: tuple[float, float] = (0.3, 1 / 0.3),
) -> np.ndarray:
    """Hide rectangles until ``num_masked`` cells are hidden or nothing more fits.

    Args:
        grid: Rows and columns.
        num_masked: Largest number of hidden cells; often a few less are hidden.
        rng: Source of randomness.
        min_per_block: Smallest area that is drawn for a rectangle.
        max_per_block: Largest number of cells that one rectangle adds; ``num_masked`` when None.
        aspect_range: Range of the log-uniform aspect ratio, rows / columns.

    Returns:
        Bool array (rows, columns), True = hidden.

    Source: BEiT (arXiv 2106.08254), Algorithm 1, in the form of its published code.
    """
    limit = num_masked if max_per_block is None else max_per_block
    return _hide_blocks(grid, num_masked, min_per_block, limit, aspect_range, rng)


def _hide_blocks(
    grid: tuple[int, int],
    budget: float,
    smallest: float,
    limit: float,
    aspect_range: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    mask = np.zeros(grid, dtype=bool)
    count = 0
    while count < budget:
        added = add_block(mask, min(budget - count, limit), smallest, rng, aspect_range)
        if added == 0:
            break
        count += added
    return mask


def add_block(
    mask: np.ndarray, room: float, smallest: float, rng: np.random.Generator, aspect_range: tuple[float, float]
) -> int:
    """Hide one more rectangle, in place.

    Args:
        mask: Bool array (rows, columns), True = hidden.
        room: Largest number of cells that may be added.
        smallest: Smallest area that is drawn.
        rng: Source of randomness.
        aspect_range: Range of the log-uniform aspect ratio, rows / columns.

    Returns:
        The number of new cells, 0 after 10 failures.
    """
    rows, columns = mask.shape
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


_SHAPES = ('block', 'rand')
_CROPS = ('global', 'first', 'all')


@TRANSFORMS.register_module()
class PredictionMasks(Transform):
    """One mask for each global crop, and for each local crop if wanted.

    Args:
        patch_size: Side of a mask cell in pixels: the patch of a ViT; 8 patches (32
            pixels) for a Swin transformer.
        pred_ratio: Centre(s) of the share of hidden patches, see :class:`PredictionRatio`.
        pred_ratio_var: Half-width(s) of the share.
        pred_shape: ``'block'`` or ``'rand'``.
        pred_start_epoch: Nothing is hidden before this epoch (counted from 0).
        aspect_range: Range of a block's rows / columns.
        crops: Where patches are hidden: in 'global' crops, in the 'first' global crop only, or in 'all' crops,
            for which the teacher must see the local crops, too (iBOT, appendix B, pipelines b, d and c).
    """

    def __init__(
        self,
        patch_size: int = 16,
        pred_ratio: float | Sequence[float] = 0.3,
        pred_ratio_var: float | Sequence[float] = 0.0,
        pred_shape: str = 'block',
        pred_start_epoch: int = 0,
        aspect_range: Sequence[float] = (0.3, 1 / 0.3),
        crops: str = 'global',
    ) -> None:
        if pred_shape not in _SHAPES:
            raise ConfigError(f"pred_shape is '{pred_shape}'; choose one of {', '.join(_SHAPES)}.")
        if crops not in _CROPS:
            raise ConfigError(f"crops of PredictionMasks is '{crops}'; choose one of {', '.join(_CROPS)}.")
        self.patch_size = patch_size
        self.ratio = PredictionRatio(pred_ratio, pred_ratio_var)
        self.pred_shape = pred_shape
        self.pred_start_epoch = pred_start_epoch
        self.aspect_range = tuple(aspect_range)
        self.crops = crops

    def transform(self, results: dict) -> dict:
        """Add ``masks``, a list of bool arrays (h, w), one for each of ``global_crops``.

        With ``crops='all'`` also ``local_masks``, one for each of ``local_crops``.
        """
        rng, epoch = self.rng(results), self._epoch(results)
        grids = [self._grid(crop.size) for crop in results['global_crops']]
        shown = len(grids) - 1 if self.crops == 'first' else 0
        masks = [self.draw(grid, rng, epoch)[0] for grid in grids[: len(grids) - shown]]
        results['masks'] = masks + [np.zeros(grid, dtype=bool) for grid in grids[len(masks) :]]
        if self.crops == 'all':
            local = [self._grid(crop.size, 'local') for crop in results['local_crops']]
            results['local_masks'] = [self.draw(grid, rng, epoch)[0] for grid in local]
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
        if self.pred_shape == 'rand':
            return random_mask(grid, int(ratio * grid[0] * grid[1]), rng), ratio
        return block_mask(grid, ratio, rng, self.aspect_range), ratio

    def _epoch(self, results: dict) -> int:
        if 'epoch' not in results and self.pred_start_epoch > 0:
            raise ConfigError(
                f'PredictionMasks has pred_start_epoch={self.pred_start_epoch} but is not told the epoch; train with '
                'ResumableEpochLoop on UnlabelledImages, or call set_epoch of the data set.'
            )
        return results.get('epoch', 0)

    def _grid(self, size: tuple[int, int], kind: str = 'global') -> tuple[int, int]:
        return grid_of_crop(size, self.patch_size, f'{kind}_size of MultiCrop or patch_size of PredictionMasks')


@TRANSFORMS.register_module()
class BEiTMasks(Transform):
    """One mask of (nearly) fixed size for each global crop.

    Args:
        patch_size: Side of a mask cell in pixels.
        num_masked: Number of hidden patches, or a share of all below 1; BEiT hides at most 75 of 196.
        min_per_block: Smallest area that is drawn for a block, in patches.
        max_per_block: Largest number of patches that a block adds; ``num_masked`` when None.
        aspect_range: Range of a block's rows / columns.
        shape: 'block', or 'rand' for single patches anywhere (BEiT Table 4, "- blockwise masking").

    Source: BEiT (arXiv 2106.08254), section 2.3.
    """

    def __init__(
        self,
        patch_size: int = 16,
        num_masked: float = 75,
        min_per_block: int = 16,
        max_per_block: int | None = None,
        aspect_range: Sequence[float] = (0.3, 1 / 0.3),
        shape: str = 'block',
    ) -> None:
        if shape not in _SHAPES:
            raise ConfigError(f"shape of BEiTMasks is '{shape}'; choose one of {', '.join(_SHAPES)}.")
        if num_masked < 0 or (num_masked >= 1 and num_masked != int(num_masked)):
            raise ConfigError(
                f'num_masked={num_masked} of BEiTMasks is neither a number of patches nor a share; use 75 or 0.38.'
            )
        self.patch_size = patch_size
        self.num_masked = num_masked
        self.min_per_block = min_per_block
        self.max_per_block = max_per_block
        self.aspect_range = tuple(aspect_range)
        self.shape = shape

    def transform(self, results: dict) -> dict:
        """Add ``masks``, a list of bool arrays (h, w), one for each of ``global_crops``."""
        rng, where = self.rng(results), 'the size of the crop or patch_size of BEiTMasks'
        grids = [grid_of_crop(crop.size, self.patch_size, where) for crop in results['global_crops']]
        results['masks'] = [self.draw(grid, rng) for grid in grids]
        return results

    def draw(self, grid: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draw the mask of one crop, bool (h, w), True = hidden."""
        cells = grid[0] * grid[1]
        count = int(self.num_masked if self.num_masked >= 1 else self.num_masked * cells)
        if count > cells:
            raise ConfigError(f'num_masked={count} of BEiTMasks is more than the {cells} patches of a crop; lower it.')
        if self.shape == 'rand':
            return random_mask(grid, count, rng)
        return beit_block_mask(grid, count, rng, self.min_per_block, self.max_per_block, self.aspect_range)


def grid_of_crop(size: tuple[int, int], patch_size: int, where: str) -> tuple[int, int]:
    """Rows and columns of patches of a crop of ``(width, height)`` pixels.

    Raises:
        ConfigError: The patches do not divide the crop; ``where`` names what to change.
    """
    width, height = size
    if width % patch_size or height % patch_size:
        raise ConfigError(
            f'Crops of {height} x {width} pixels do not divide into patches of {patch_size}; change {where}.'
        )
    return height // patch_size, width // patch_size


def _as_tuple(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)
