"""Colour changes of a crop, with torchvision's arithmetic on PIL images.

Functions are deterministic; :class:`ViewAugmentation` draws their parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from mim_plugin.errors import ConfigError

__all__ = ['ColorJitter', 'ViewAugmentation', 'adjust_hue', 'to_gray']


def adjust_hue(image: Image.Image, shift: float) -> Image.Image:
    """Turn the hue by ``shift`` of the colour circle (-0.5 to 0.5), in 8-bit HSV."""
    hue, saturation, value = image.convert('HSV').split()
    step = int(shift * 255) % 256
    hue = hue.point([(i + step) % 256 for i in range(256)])
    return Image.merge('HSV', (hue, saturation, value)).convert('RGB')


def to_gray(image: Image.Image) -> Image.Image:
    """Three equal channels of ITU-R 601 luma."""
    return image.convert('L').convert('RGB')


class ColorJitter:
    """Brightness, contrast, saturation and hue by random factors, in random order.

    Args:
        brightness: Factor drawn from [1 - brightness, 1 + brightness], not below 0.
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: Shift drawn from [-hue, hue], at most 0.5.
    """

    def __init__(self, brightness: float, contrast: float, saturation: float, hue: float) -> None:
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
            raise ConfigError(
                f'brightness={brightness}, contrast={contrast}, saturation={saturation} must not be negative and '
                f'hue={hue} must be in [0, 0.5]; correct the crop settings of the pipeline.'
            )
        factors = {
            ImageEnhance.Brightness: brightness,
            ImageEnhance.Contrast: contrast,
            ImageEnhance.Color: saturation,
        }
        self._operations: list[Callable[[Image.Image, np.random.Generator], Image.Image]] = [
            _Enhancement(enhancer, max(0.0, 1 - strength), 1 + strength)
            for enhancer, strength in factors.items()
            if strength > 0
        ]
        if hue > 0:
            self._operations.append(_HueShift(hue))

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Change one RGB image."""
        for i in rng.permutation(len(self._operations)):
            image = self._operations[i](image, rng)
        return image


class _Enhancement:
    def __init__(self, enhancer: type, low: float, high: float) -> None:
        self.enhancer, self.low, self.high = enhancer, low, high

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        return self.enhancer(image).enhance(rng.uniform(self.low, self.high))


class _HueShift:
    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        return adjust_hue(image, rng.uniform(-self.strength, self.strength))


class ViewAugmentation:
    """Flip, colour jitter, grey, blur and solarisation of one crop, in this order.

    Source: iBOT's and DINO's published augmentation.

    Args:
        flip_prob: Probability of a horizontal flip.
        jitter: Colour jitter, or None.
        jitter_prob: Probability of the colour jitter.
        gray_prob: Probability of a grey image.
        blur_prob: Probability of a Gaussian blur.
        blur_radius: Range of its standard deviation in pixels.
        solarize_prob: Probability of inverting all values from ``solarize_threshold`` on.
        solarize_threshold: Value of 0 to 256.
    """

    def __init__(
        self,
        flip_prob: float = 0.5,
        jitter: ColorJitter | None = None,
        jitter_prob: float = 0.8,
        gray_prob: float = 0.2,
        blur_prob: float = 0.0,
        blur_radius: tuple[float, float] = (0.1, 2.0),
        solarize_prob: float = 0.0,
        solarize_threshold: int = 128,
    ) -> None:
        self.flip_prob = flip_prob
        self.jitter = jitter
        self.jitter_prob = jitter_prob if jitter is not None else 0.0
        self.gray_prob = gray_prob
        self.blur_prob = blur_prob
        self.blur_radius = blur_radius
        self.solarize_prob = solarize_prob
        self.solarize_threshold = solarize_threshold

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Change one RGB image; its size stays."""
        return self.change(image, rng)[0]

    def change(self, image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, bool]:
        """The same, and whether the image was flipped."""
        flipped = rng.random() < self.flip_prob
        if flipped:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return self.recolor(image, rng), flipped

    def recolor(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """All changes but the flip."""
        if rng.random() < self.jitter_prob:
            image = self.jitter(image, rng)
        if rng.random() < self.gray_prob:
            image = to_gray(image)
        if rng.random() < self.blur_prob:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*self.blur_radius)))
        if rng.random() < self.solarize_prob:
            image = ImageOps.solarize(image, self.solarize_threshold)
        return image
