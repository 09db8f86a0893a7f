"""BEiT's two views of one crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mim_plugin.datasets.transforms import PackViews, TwoResolutionCrop
from mim_plugin.datasets.transforms.crops import random_crop_box
from mim_plugin.models import MIMDataPreprocessor
from mim_plugin.models.layers.pixel_map import map_pixels
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.unknown import UnknownCase

__all__ = ['beit_transforms']


def _centred(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.5


# What each tokenizer does to pixels in [0, 1].
_TOKENIZER_INPUTS: dict[str, Callable[[Tensor], Tensor]] = {'dall-e': map_pixels, 'customized': _centred}


def beit_transforms(case: Case) -> Answers:
    """Both views of the stored box, before and after normalisation, and the crop of last resort."""
    settings = case.settings
    if settings['tokenizer'] not in _TOKENIZER_INPUTS:
        raise UnknownCase(f'views for the tokenizer {settings["tokenizer"]!r}')
    crop = TwoResolutionCrop(
        size=settings['size'],
        target_size=settings['second_size'],
        interpolation=settings['interpolation'],
        target_interpolation=settings['second_interpolation'],
    )
    top, left, height, width = settings['crop_top_left_height_width']
    image = Image.fromarray(case.inputs['image'].numpy())
    views, targets = crop.views(image, (left, top, left + width, top + height))
    packed = PackViews()({'global_crops': views, 'local_crops': [], 'target_crops': targets})['inputs']
    preprocessor = MIMDataPreprocessor(
        mean=[255 * value for value in settings['patch_view_mean']],
        std=[255 * value for value in settings['patch_view_std']],
        with_target=True,
    )
    batch = {name: [torch.stack([view]) for view in packed[name]] for name in ('global', 'target')}
    prepared = preprocessor({'inputs': batch})['inputs']
    outputs = {
        'patch_view_uint8': packed['global'][0].permute(1, 2, 0),
        'token_view_uint8': packed['target'][0].permute(1, 2, 0),
        'patch_view': prepared['global'][0],
        'token_view': _TOKENIZER_INPUTS[settings['tokenizer']](prepared['target'])[0],
    }
    stored = case.expected.get('fallback_crop_when_no_attempt_fits', [])
    facts = {'fallback_crop_when_no_attempt_fits': [_last_resort(box, settings['crop_defaults']) for box in stored]}
    return Answers(outputs, facts)


def _last_resort(image: dict[str, int], defaults: dict[str, Any]) -> dict[str, Any]:
    """The box of an image when no drawn one fits, because all are larger than it."""
    height, width = image['height'], image['width']
    left, top, right, bottom = random_crop_box(height, width, (4, 4), defaults['ratio'], np.random.default_rng(0))
    return {'width': width, 'height': height, 'crop_top_left_height_width': [top, left, bottom - top, right - left]}
