"""Which parts of an image a token cache holds, and how a training view is cut from them.

Two ways, with one interface. :class:`FixedCrops` is exact: training replays crops that were drawn once.
:class:`WholeGrids` gives endlessly many crops from few ids, which are those of the whole image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mim_plugin.datasets.transforms.crops import random_crop_box
from mim_plugin.datasets.transforms.randomness import uniform_int
from mim_plugin.errors import ConfigError

__all__ = ['FixedCrops', 'WholeGrids', 'describe_sampling', 'read_sampling']

_FLIP = Image.Transpose.FLIP_LEFT_RIGHT
Size = tuple[int, int]


@dataclass(frozen=True)
class FixedCrops:
    """``count`` crops an image, drawn once; flip and box of a crop depend on (seed, crop, image) only.

    **Exact**: the ids are those of the pixels that the transformer sees (before colour jitter), also of flipped ones.
    **Changed sampling**: an image has ``count`` crops instead of a new one in every epoch.

    Args:
        count: Number K of crops.
        seed: Seed of the draws.
        scale: Range of the box's share of the image's area.
        ratio: Range of width / height of the box.
        flip_prob: Probability of a horizontal flip.
    """

    count: int
    seed: int
    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip_prob: float

    def grids(self, patch_grid: Size) -> list[Size]:
        """Rows and columns of the views of an image."""
        return [patch_grid] * self.count

    def encoder_views(self, image: Image.Image, index: int, cell: Size, grid: Size, method: int) -> list[Image.Image]:
        """What the tokenizer sees of image number ``index``; a cell has ``cell`` (rows, columns) pixels."""
        return [self._crop(image, index, number, _pixels(grid, cell), method) for number in range(self.count)]

    def training_view(
        self,
        image: Image.Image,
        index: int,
        ids: Callable[[int], np.ndarray],
        size: Size,
        grid: Size,
        method: int,
        rng: np.random.Generator,
    ) -> tuple[Image.Image, np.ndarray]:
        """One of the crops, resized to ``size`` (rows, columns), and its ids."""
        number = uniform_int(rng, self.count)
        return self._crop(image, index, number, size, method), ids(number)

    def _crop(self, image: Image.Image, index: int, number: int, size: Size, method: int) -> Image.Image:
        rng = np.random.default_rng((self.seed, number, index))
        if rng.random() < self.flip_prob:
            image = image.transpose(_FLIP)
        box = random_crop_box(image.height, image.width, self.scale, self.ratio, rng)
        return image.crop(box).resize(size[::-1], method)


@dataclass(frozen=True)
class WholeGrids:
    """Ids of the whole image at one or more sizes; training cuts windows of the patch grid from them.

    A size is picked at random, then a window of whole cells, then a flip of pixels and ids together. The pixels of the
    window are those of the resized image. **Changed sampling**: the share of the area that a crop has is one of
    patches / cells (14 x 14 of 28 x 28 is a quarter), its shape is that of the image, its corners lie on cells.
    **Not exact** for a tokenizer that looks beyond a cell: it saw the surroundings of the window, and no mirrored
    image. Exact, but for a grey level of resizing, for one that does not and whose ids do not depend on left and right.

    Args:
        levels: Rows and columns of the whole image in cells, for each size.
        flip_prob: Probability of a horizontal flip.
    """

    levels: tuple[Size, ...]
    flip_prob: float

    def grids(self, patch_grid: Size) -> list[Size]:
        """Rows and columns of the views of an image."""
        for rows, columns in self.levels:
            if rows < patch_grid[0] or columns < patch_grid[1]:
                raise ConfigError(
                    f'A grid of {rows} x {columns} tokens is smaller than the {patch_grid[0]} x {patch_grid[1]} '
                    'patches of a training view; make --grid larger.'
                )
        return list(self.levels)

    def encoder_views(self, image: Image.Image, index: int, cell: Size, grid: Size, method: int) -> list[Image.Image]:
        """What the tokenizer sees of an image; a cell has ``cell`` (rows, columns) pixels."""
        return [image.resize(_pixels(level, cell)[::-1], method) for level in self.levels]

    def training_view(
        self,
        image: Image.Image,
        index: int,
        ids: Callable[[int], np.ndarray],
        size: Size,
        grid: Size,
        method: int,
        rng: np.random.Generator,
    ) -> tuple[Image.Image, np.ndarray]:
        """A window of ``grid`` cells, resized to ``size`` (rows, columns), and its ids."""
        level = uniform_int(rng, len(self.levels))
        (rows, columns), (h, w) = self.levels[level], grid
        top, left = uniform_int(rng, rows - h + 1), uniform_int(rng, columns - w + 1)
        dx, dy = image.width / columns, image.height / rows
        # Pillow takes the surroundings of the box into account: but for a grey level, a cut of the resized image.
        view = image.resize(size[::-1], method, box=(left * dx, top * dy, (left + w) * dx, (top + h) * dy))
        window = ids(level)[top : top + h, left : left + w]
        if rng.random() < self.flip_prob:
            return view.transpose(_FLIP), window[:, ::-1]
        return view, window


_KINDS = {'crops': FixedCrops, 'grid': WholeGrids}


def describe_sampling(sampling: FixedCrops | WholeGrids) -> dict:
    """As the manifest holds it: ``kind`` ('crops' or 'grid') and the arguments, in types of JSON."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(sampling, cls))
    return {'kind': kind, **{key: _listed(value) for key, value in dataclasses.asdict(sampling).items()}}


def read_sampling(described: dict) -> FixedCrops | WholeGrids:
    """Reverse of :func:`describe_sampling`."""
    arguments = {key: _tupled(value) for key, value in described.items() if key != 'kind'}
    return _KINDS[described['kind']](**arguments)


def _pixels(grid: Size, cell: Size) -> Size:
    return grid[0] * cell[0], grid[1] * cell[1]


def _listed(value: object) -> object:
    return [_listed(item) for item in value] if isinstance(value, (list, tuple)) else value


def _tupled(value: object) -> object:
    return tuple(_tupled(item) for item in value) if isinstance(value, (list, tuple)) else value
