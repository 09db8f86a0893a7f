"""The pixels of a patch as what should be predicted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.models.tokenizers.base import FrozenTokenizer
from mim_plugin.models.tokenizers.features.base import channel_statistics
from mim_plugin.models.tokenizers.patches import cut_patches, join_patches, patch_grid
from mim_plugin.registry import MODELS

__all__ = ['PixelTokenizer']


@MODELS.register_module()
class PixelTokenizer(FrozenTokenizer):
    """Pixel regression: ``3 * patch_size ** 2`` normalised values a patch.

    Args:
        patch_size: Side of a patch of the image that it is shown, in pixels.
        per_patch: Normalise each patch by its own mean and deviation (MAE, arXiv 2111.06377) instead of
            by those of the data set. Such values tell nothing of brightness and cannot be decoded.
        mean: Mean a channel in grey values; unused with ``per_patch``.
        std: Standard deviation a channel in grey values; unused with ``per_patch``.

    Source: BEiT (arXiv 2106.08254), Table 4, "- visual tokens (recover masked pixels)".
    """

    kind = 'values'
    has_weights = False

    def __init__(
        self,
        patch_size: int = 16,
        per_patch: bool = False,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__()
        self.patch_size, self.per_patch = patch_size, per_patch
        self.value_dims = 3 * patch_size**2
        self.can_decode = not per_patch
        self.register_buffer('mean', channel_statistics(mean), persistent=False)
        self.register_buffer('std', channel_statistics(std), persistent=False)

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """One target a patch; both sides must be multiples of the patch."""
        return patch_grid(image_size, self.patch_size, 'PixelTokenizer')

    def encode(self, images: Tensor) -> Tensor:
        """Values ``(B, h, w, 3 * p * p)``: the pixels of a patch row by row, channel last."""
        self.grid_size(images.shape[2:])
        if not self.per_patch:
            return cut_patches((images - self.mean) / self.std, self.patch_size)
        patches = cut_patches(images, self.patch_size)
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return (patches - mean) / (variance + 1e-6).sqrt()

    def decode(self, targets: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` of values ``(B, h, w, 3 * p * p)``."""
        if self.per_patch:
            raise ConfigError('PixelTokenizer with per_patch=True cannot be decoded; use per_patch=False for pictures.')
        return (join_patches(targets, self.patch_size) * self.std + self.mean).clamp(0, 1)
