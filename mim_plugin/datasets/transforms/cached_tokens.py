"""Crops whose tokens were made before, see ``docs/token_cache.md``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mim_plugin.datasets.token_cache import ENCODE, TokenCache, hash_of_lines
from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.datasets.transforms.color import ColorJitter
from mim_plugin.datasets.transforms.formatting import image_to_tensor
from mim_plugin.datasets.transforms.loading import UndecodableImageError
from mim_plugin.datasets.transforms.masking import BEiTMasks, grid_of_crop
from mim_plugin.datasets.transforms.token_views import FixedCrops, WholeGrids, read_sampling
from mim_plugin.datasets.transforms.two_resolution import FILTERS, pair
from mim_plugin.errors import ConfigError
from mim_plugin.registry import TRANSFORMS

if TYPE_CHECKING:
    from mim_plugin.datasets.image_dataset import ImageDataset

__all__ = ['CachedTokenCrop', 'EncoderViews', 'describe_steps']


@TRANSFORMS.register_module()
class CachedTokenCrop(Transform):
    """A crop of an image and its token ids from a cache, in the place of :class:`TwoResolutionCrop`.

    Where the crop lies is up to the cache: it holds the ids of K fixed crops of each image, or of whole images from
    which windows are cut; :class:`FixedCrops` and :class:`WholeGrids` say what each changes in the sampling. Which of
    the crops is taken depends on (seed, epoch, index), as all random decisions do.

    Colour jitter changes the transformer's view only: the ids are those of the image as it is. (Without a cache BEiT
    jitters the image before both views are cut.)

    An image that could not be decoded when the cache was made counts as undecodable here, too, so that its neighbour
    replaces it with the neighbour's own ids.

    Args:
        cache: Folder of the cache.
        size: Size of the transformer's view in pixels, one number or ``(rows, columns)``.
        interpolation: 'bilinear', 'bicubic' or 'lanczos'.
        brightness: Strength of the colour jitter, see :class:`ColorJitter`.
        contrast: The same.
        saturation: The same.
        hue: The same.

    Raises:
        DataError: There is no finished cache in the folder.
        ConfigError: The cache was made for other images, or for another grid.
    """

    def __init__(
        self,
        cache: str,
        size: int | Sequence[int] = 224,
        interpolation: str = 'bicubic',
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.0,
    ) -> None:
        if interpolation not in FILTERS:
            raise ConfigError(
                f'interpolation={interpolation!r} of CachedTokenCrop is unknown; use one of {sorted(FILTERS)}.'
            )
        self.cache = TokenCache(cache)
        self.size = pair(size)
        self.filter = FILTERS[interpolation]
        self.jitter = ColorJitter(brightness, contrast, saturation, hue)
        self.sampling = read_sampling(self.cache.manifest.sampling)

    def prepare(self, dataset: ImageDataset) -> None:
        """Check before the first image that the cache is the one of these images, loaded in this way."""
        self._check_images(dataset.image_paths())
        steps = dataset.pipeline.transforms
        self._check_loading(describe_steps(steps[: steps.index(self)]))
        self._check_grid([step for step in steps if isinstance(step, BEiTMasks)])

    def transform(self, results: dict) -> dict:
        """Replace ``img`` (PIL, RGB) by ``global_crops``, ``local_crops`` (none) and ``token_ids``."""
        image, index, rng = results.pop('img'), results['image_idx'], self.rng(results)
        if self.cache.is_damaged(index):
            raise UndecodableImageError(
                f'Image {results["img_path"]} could not be decoded when the token cache {self.cache.folder} was made '
                f'and has no ids; make the cache anew to use it: {ENCODE}.'
            )
        view, ids = self.sampling.training_view(
            self.jitter(image, rng),
            index,
            lambda number: self.cache.ids(index, number),
            self.size,
            self.cache.manifest.patch_grid,
            self.filter,
            rng,
        )
        results['global_crops'], results['local_crops'] = [view], []
        results['token_ids'] = [np.ascontiguousarray(ids, dtype=np.int32)]
        return results

    def _check_images(self, paths: list[str]) -> None:
        manifest = self.cache.manifest
        wrong = None
        if len(paths) != manifest.images:
            wrong = f'{manifest.images} images, but the data set has {len(paths)}'
        elif hash_of_lines(paths) != manifest.list_sha256:
            wrong = f'{manifest.images} images of other names or order than those of the data set'
        if wrong:
            raise ConfigError(
                f'The token cache {self.cache.folder} was made for {wrong}; set cache of CachedTokenCrop and data_root '
                f'to what belongs together, or make the cache anew: {ENCODE}.'
            )

    def _check_loading(self, steps: list[dict]) -> None:
        if steps != self.cache.manifest.loading:
            raise ConfigError(
                f'The token cache {self.cache.folder} was made of images loaded by {self.cache.manifest.loading}, but '
                f'the pipeline has {steps} before CachedTokenCrop; make them equal, or make the cache anew: {ENCODE}.'
            )

    def _check_grid(self, masks: list[BEiTMasks]) -> None:
        expected = tuple(self.cache.manifest.patch_grid)
        for step in masks:
            grid = grid_of_crop(self.size[::-1], step.patch_size, 'size of CachedTokenCrop or patch_size of BEiTMasks')
            if grid != expected:
                raise ConfigError(
                    f'The token cache {self.cache.folder} holds grids of {expected} ids, but crops of '
                    f'{tuple(self.size)} pixels have {grid} patches of {step.patch_size}; set size of CachedTokenCrop '
                    f'and patch_size of BEiTMasks to fit, or make the cache anew: {ENCODE}.'
                )


def describe_steps(steps: Sequence[Callable]) -> list[dict]:
    """Class and settings of built steps, in types of JSON."""
    described = [{'type': type(step).__name__, **getattr(step, '__dict__', {})} for step in steps]
    return json.loads(json.dumps(described, default=lambda value: type(value).__name__))


class EncoderViews(Transform):
    """What a tokenizer should see of an image, for the making of a cache.

    Args:
        sampling: Which parts of an image the cache holds.
        cell: Rows and columns of pixels that the tokenizer makes one id of.
        patch_grid: Rows and columns of patches of a training view.
        method: Pillow's number of the interpolation.
    """

    def __init__(
        self, sampling: FixedCrops | WholeGrids, cell: tuple[int, int], patch_grid: tuple[int, int], method: int
    ) -> None:
        self.sampling = sampling
        self.cell = cell
        self.patch_grid = patch_grid
        self.method = Image.Resampling(method)

    def transform(self, results: dict) -> dict:
        """Return ``views``, a list of uint8 (3, H, W)."""
        index = results['image_idx']
        views = self.sampling.encoder_views(results['img'], index, self.cell, self.patch_grid, self.method)
        return {'views': [image_to_tensor(view) for view in views]}
