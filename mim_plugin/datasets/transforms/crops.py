"""Random resized crops and the multi-crop of self-distillation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.datasets.transforms.color import ColorJitter, ViewAugmentation
from mim_plugin.datasets.transforms.randomness import uniform_int
from mim_plugin.errors import ConfigError
from mim_plugin.registry import TRANSFORMS

__all__ = ['MultiCrop', 'RandomResizedCrop', 'random_crop_box']

_TRIES = 10


def random_crop_box(
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Box of torchvision's RandomResizedCrop.

    Up to 10 tries of an area uniform in ``scale`` and a log-uniform aspect ratio; when
    none fits, the largest centred box whose aspect ratio is within ``ratio``.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        scale: Range of the box's share of the image's area.
        ratio: Range of width / height of the box.
        rng: Source of randomness.

    Returns:
        ``(left, top, right, bottom)`` in pixels.
    """
    log_low, log_high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(_TRIES):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(log_low, log_high))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = uniform_int(rng, height - h + 1), uniform_int(rng, width - w + 1)
            return left, top, left + w, top + h
    w, h = width, height
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    top, left = (height - h) // 2, (width - w) // 2
    return left, top, left + w, top + h


def resize_with_pillow(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize bicubically with antialiasing to ``(rows, columns)``."""
    return image.resize(size[::-1], Image.Resampling.BICUBIC)


def resize_with_torch(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Torch's form of :func:`resize_with_pillow`: grey values differ by at most 1."""
    # with the batch dimension in front torch sees that the channel is innermost, and keeps it there
    pixels = torch.from_numpy(np.array(image))[None].permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(pixels, size, mode='bicubic', antialias=True)
    return Image.fromarray(resized[0].permute(1, 2, 0).numpy())


_RESIZERS = {'pillow': resize_with_pillow, 'torch': resize_with_torch}


class RandomResizedCrop:
    """Cut a random box and resize it to a fixed size, bicubically with antialiasing.

    The box is cut before it is resized, so no pixel outside it has an influence.

    Args:
        size: ``(rows, columns)`` of the result, or one number for both.
        scale: Range of the box's share of the image's area.
        ratio: Range of width / height of the box.
        resize: ``'pillow'`` for the pixels of the published runs, or ``'torch'``.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float],
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        resize: str = 'pillow',
    ) -> None:
        if resize not in _RESIZERS:
            raise ConfigError(f"resize is '{resize}'; choose one of {', '.join(_RESIZERS)}.")
        self.resize = _RESIZERS[resize]
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)
        if not (0 < self.scale[0] <= self.scale[1] <= 1 and 0 < self.ratio[0] <= self.ratio[1]):
            raise ConfigError(
                f'Crop scale {self.scale} must be a range within (0, 1] and ratio {self.ratio} one of positive '
                'numbers; correct the crop settings of the pipeline.'
            )

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Cut one crop."""
        return self.cut(image, rng)[0]

    def cut(self, image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, tuple[int, int, int, int]]:
        """The same, and the box that was cut, see :func:`random_crop_box`."""
        box = random_crop_box(image.height, image.width, self.scale, self.ratio, rng)
        return self.resize(image.crop(box), self.size), box


@TRANSFORMS.register_module()
class MultiCrop(Transform):
    """Global and local crops of one decoded image, each with its own random changes.

    Every crop: random resized crop, flip, colour jitter, grey, blur, and (global crops
    from the second on) solarisation. Defaults are those of iBOT's code; its published
    ImageNet runs set scales and local crops, see ``configs/_base_/datasets``.

    Args:
        global_crops: Number G of large crops.
        global_size: Their size in pixels, one number or ``(rows, columns)``.
        global_scale: Range of their share of the image's area.
        local_crops: Number L of small crops, 0 for none.
        local_size: Their size in pixels.
        local_scale: Range of their share of the image's area.
        ratio: Range of width / height of all crops before resizing.
        flip_prob: Probability of a horizontal flip.
        color: False leaves out saturation, hue and grey (which do nothing to grey
            images); brightness and contrast stay.
        brightness: Strength of the jitter, see :class:`ColorJitter`.
        contrast: The same.
        saturation: The same.
        hue: The same.
        jitter_prob: Probability of the colour jitter, 0 switches it off.
        gray_prob: Probability of a grey crop.
        blur_probs: Probability of a blur for the first global, further global and local crops.
        blur_radius: Range of the blur's radius (standard deviation) in pixels.
        solarize_prob: Probability of solarising a global crop from the second on.
        solarize_threshold: Values from here on are inverted.
        resize: ``'pillow'`` gives the pixels of the published runs. ``'torch'`` is about five
            times faster on processors with AVX2 and **changes grey values** by at most 1.
        target_size: Size of a second view of every global crop, for a frozen tokenizer: the finished crop,
            all its changes included, made smaller (Lanczos), so that the tokenizer sees what the student
            sees. None: no second view.
    """

    def __init__(
        self,
        global_crops: int = 2,
        global_size: int | Sequence[int] = 224,
        global_scale: Sequence[float] = (0.14, 1.0),
        local_crops: int = 0,
        local_size: int | Sequence[int] = 96,
        local_scale: Sequence[float] = (0.05, 0.4),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        flip_prob: float = 0.5,
        color: bool = True,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        hue: float = 0.1,
        jitter_prob: float = 0.8,
        gray_prob: float = 0.2,
        blur_probs: Sequence[float] = (1.0, 0.1, 0.5),
        blur_radius: Sequence[float] = (0.1, 2.0),
        solarize_prob: float = 0.2,
        solarize_threshold: int = 128,
        resize: str = 'pillow',
        target_size: int | Sequence[int] | None = None,
    ) -> None:
        if global_crops < 1 or local_crops < 0:
            raise ConfigError(
                f'MultiCrop got global_crops={global_crops}, local_crops={local_crops}; '
                'set at least one global crop and no negative number of local crops.'
            )
        if len(blur_probs) != 3:
            raise ConfigError(
                f'blur_probs of MultiCrop is {tuple(blur_probs)}; give three probabilities, for the first global, '
                'further global and local crops.'
            )
        self.local_crops = local_crops
        self.target_size = (target_size, target_size) if isinstance(target_size, int) else target_size
        self.global_crop = RandomResizedCrop(global_size, global_scale, ratio, resize)
        self.local_crop = RandomResizedCrop(local_size, local_scale, ratio, resize)
        common = dict(
            flip_prob=flip_prob,
            jitter=ColorJitter(brightness, contrast, saturation if color else 0.0, hue if color else 0.0),
            jitter_prob=jitter_prob,
            gray_prob=gray_prob if color else 0.0,
            blur_radius=tuple(blur_radius),
        )
        first, further, local = blur_probs
        solarize = dict(solarize_prob=solarize_prob, solarize_threshold=solarize_threshold)
        further_augmentation = ViewAugmentation(**common, blur_prob=further, **solarize)
        self.global_augmentations = [ViewAugmentation(**common, blur_prob=first)]
        self.global_augmentations += [further_augmentation] * (global_crops - 1)
        self.local_augmentation = ViewAugmentation(**common, blur_prob=local)

    def transform(self, results: dict) -> dict:
        """Replace ``img`` (PIL, RGB) by the lists ``global_crops`` and ``local_crops``.

        ``crop_boxes`` gets where each global crop lies, ``((left, top, right, bottom), flipped)``, and
        ``target_crops``, if wanted, the tokenizer's views.
        """
        image, rng = results.pop('img'), self.rng(results)
        results['global_crops'], results['crop_boxes'] = [], []
        for augmentation in self.global_augmentations:
            crop, box = self.global_crop.cut(image, rng)
            crop, flipped = augmentation.change(crop, rng)
            results['global_crops'].append(crop)
            results['crop_boxes'].append((box, flipped))
        results['local_crops'] = [
            self.local_augmentation(self.local_crop(image, rng), rng) for _ in range(self.local_crops)
        ]
        if self.target_size is not None:
            size = tuple(self.target_size)[::-1]
            results['target_crops'] = [crop.resize(size, Image.Resampling.LANCZOS) for crop in results['global_crops']]
        return results
