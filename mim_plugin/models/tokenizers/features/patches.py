"""Features that are computed from the pixels of a patch, without weights."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.models.tokenizers.features.base import FeatureGrid
from mim_plugin.models.tokenizers.patches import cut_patches, join_patches
from mim_plugin.registry import MODELS

__all__ = ['ColorGradientFeatures', 'PixelFeatures']

# Luminance of RGB (ITU-R BT.601).
_LUMINANCE = (0.299, 0.587, 0.114)


@MODELS.register_module()
class PixelFeatures(FeatureGrid):
    """The colours of a patch as they are, ``C = 3 * patch_size ** 2``.

    With these, k-means codes are the "patch clustering" of iBOT (arXiv 2111.07832), Table 20 and appendix F.

    Args:
        patch_size: Side of a patch of the image that it is shown, in pixels.
    """

    can_decode = True

    def __init__(self, patch_size: int = 16) -> None:
        super().__init__()
        self.stride = patch_size
        self.dims = 3 * patch_size**2

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {'patch_size': self.stride}

    def forward(self, images: Tensor) -> Tensor:
        """See the base class."""
        self.grid_size(images.shape[2:])
        return cut_patches(images, self.stride)

    def decode(self, features: Tensor) -> Tensor:
        """See the base class."""
        return join_patches(features, self.stride).clamp(0, 1)


@MODELS.register_module()
class ColorGradientFeatures(FeatureGrid):
    """Coarse colour and orientation of edges of a patch, ``C = 3 * cells ** 2 + bins``.

    The colour part is the image low-passed to ``cells x cells`` mean colours a patch. The other part is a
    histogram of the directions of the luminance's gradient (without its sign), each pixel weighted with
    the gradient's strength and shared between the two nearest bins; its square root is taken, so
    that strong edges do not outweigh all else.

    Args:
        patch_size: Side of a patch of the image that it is shown, in pixels.
        cells: Mean colours a side of a patch; must divide it.
        bins: Directions, evenly over half a turn.
    """

    def __init__(self, patch_size: int = 16, cells: int = 2, bins: int = 8) -> None:
        super().__init__()
        if patch_size % cells:
            raise ConfigError(f'features.cells={cells} does not divide features.patch_size={patch_size}; use 1 or 2.')
        self.stride, self.cells, self.bins = patch_size, cells, bins
        self.dims = 3 * cells**2 + bins

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {'patch_size': self.stride, 'cells': self.cells, 'bins': self.bins}

    def forward(self, images: Tensor) -> Tensor:
        """See the base class."""
        self.grid_size(images.shape[2:])
        colors = cut_patches(F.avg_pool2d(images, self.stride // self.cells), self.cells)
        return torch.cat([colors, self._directions(images)], dim=-1)

    def _directions(self, images: Tensor) -> Tensor:
        """Histograms of gradient directions, ``(B, h, w, bins)``."""
        luminance = (images * images.new_tensor(_LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)
        padded = F.pad(luminance, (1, 1, 1, 1), mode='replicate')
        dx = (padded[:, 0, 1:-1, 2:] - padded[:, 0, 1:-1, :-2]) / 2
        dy = (padded[:, 0, 2:, 1:-1] - padded[:, 0, :-2, 1:-1]) / 2
        strength = torch.hypot(dx, dy)
        place = torch.atan2(dy, dx).remainder(math.pi) * (self.bins / math.pi)
        low = place.floor()
        share = place - low
        low = low.long() % self.bins
        histogram = images.new_zeros(len(images), self.bins, *images.shape[2:])
        histogram.scatter_(1, low.unsqueeze(1), (strength * (1 - share)).unsqueeze(1))
        histogram.scatter_add_(1, ((low + 1) % self.bins).unsqueeze(1), (strength * share).unsqueeze(1))
        return F.avg_pool2d(histogram, self.stride).sqrt().permute(0, 2, 3, 1)
