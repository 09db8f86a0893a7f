"""BEiT's two views of one random crop: one for the transformer, one for the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.datasets.transforms.color import ColorJitter
from mim_plugin.datasets.transforms.crops import random_crop_box
from mim_plugin.errors import ConfigError
from mim_plugin.registry import TRANSFORMS

__all__ = ['FILTERS', 'TwoResolutionCrop', 'pair']

FILTERS = {
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
    'lanczos': Image.Resampling.LANCZOS,
}


@TRANSFORMS.register_module()
class TwoResolutionCrop(Transform):
    """Colour jitter and flip of the whole image, then one random box resized to two sizes.

    Both views come from the same pixels of the box, antialiased, and 8-bit.

    Args:
        size: Size of the transformer's view in pixels, one number or ``(rows, columns)``.
        target_size: Size of the tokenizer's view; None: the tokenizer sees the transformer's view.
        scale: Range of the box's share of the image's area.
        ratio: Range of width / height of the box.
        interpolation: 'bilinear', 'bicubic' or 'lanczos', transformer's view.
        target_interpolation: The same for the tokenizer's view.
        brightness: Strength of the colour jitter, which is always applied, see :class:`ColorJitter`.
        contrast: The same.
        saturation: The same.
        hue: The same.
        flip_prob: Probability of a horizontal flip.

    Source: BEiT (arXiv 2106.08254), section 2.5 and its published code.
    """

    def __init__(
        self,
        size: int | Sequence[int] = 224,
        target_size: int | Sequence[int] | None = 112,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = 'bicubic',
        target_interpolation: str = 'lanczos',
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.0,
        flip_prob: float = 0.5,
    ) -> None:
        for key, name in (('interpolation', interpolation), ('target_interpolation', target_interpolation)):
            if name not in FILTERS:
                raise ConfigError(f'{key}={name!r} of TwoResolutionCrop is unknown; use one of {sorted(FILTERS)}.')
        self.scale, self.ratio = tuple(scale), tuple(ratio)
        if not (0 < self.scale[0] <= self.scale[1] <= 1 and 0 < self.ratio[0] <= self.ratio[1]):
            raise ConfigError(
                f'scale {self.scale} of TwoResolutionCrop must be a range within (0, 1] and ratio {self.ratio} one of '
                'positive numbers; correct them in train_pipeline.'
            )
        self.size = pair(size)
        self.target_size = None if target_size is None else pair(target_size)
        self.filter, self.target_filter = FILTERS[interpolation], FILTERS[target_interpolation]
        self.jitter = ColorJitter(brightness, contrast, saturation, hue)
        self.flip_prob = flip_prob

    def transform(self, results: dict) -> dict:
        """Replace ``img`` (PIL, RGB) by ``global_crops``, ``local_crops`` (none) and, if wanted, ``target_crops``."""
        image, rng = results.pop('img'), self.rng(results)
        image = self.jitter(image, rng)
        if rng.random() < self.flip_prob:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        box = random_crop_box(image.height, image.width, self.scale, self.ratio, rng)
        results['global_crops'], targets = self.views(image, box)
        results['local_crops'] = []
        if targets:
            results['target_crops'] = targets
        return results

    def views(self, image: Image.Image, box: tuple[int, int, int, int]) -> tuple[list[Image.Image], list[Image.Image]]:
        """The transformer's view and the tokenizer's (or none) of the box ``(left, top, right, bottom)``."""
        crop = image.crop(box)
        view = crop.resize(self.size[::-1], self.filter)
        if self.target_size is None:
            return [view], []
        return [view], [crop.resize(self.target_size[::-1], self.target_filter)]


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a size that may be one number for both."""
    return (size, size) if isinstance(size, int) else tuple(size)
