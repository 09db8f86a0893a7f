"""The mean colour of a patch as its token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_plugin.models.tokenizers.base import FrozenTokenizer
from mim_plugin.models.tokenizers.patches import patch_grid
from mim_plugin.registry import MODELS

__all__ = ['MeanColorTokenizer']


@MODELS.register_module()
class MeanColorTokenizer(FrozenTokenizer):
    """Masked patch prediction: the mean of each channel in a few bits, ``2 ** (3 * bits)`` codes.

    Args:
        patch_size: Side of a patch of the image that it is shown, in pixels.
        bits: Bits a channel; 3 make 512 codes.

    Source: "MPP" of iBOT (arXiv 2111.07832), Table 20 and appendix F, after ViT (arXiv 2010.11929), appendix B.1.2.
    """

    has_weights = False
    can_decode = True

    def __init__(self, patch_size: int = 16, bits: int = 3) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.bits = bits
        self.vocabulary_size = 2 ** (3 * bits)

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """One target a patch; both sides must be multiples of the patch."""
        return patch_grid(image_size, self.patch_size, 'MeanColorTokenizer')

    def encode(self, images: Tensor) -> Tensor:
        """Ids ``(B, h, w)``: the bits of red, then green, then blue."""
        self.grid_size(images.shape[2:])
        levels = 2**self.bits
        mean = F.avg_pool2d(images, self.patch_size)
        bins = (mean * levels).long().clamp(max=levels - 1)
        weights = torch.tensor([levels**2, levels, 1], device=images.device).view(3, 1, 1)
        return (bins * weights).sum(1)

    def decode(self, targets: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` of ids ``(B, h, w)``: each patch in the middle colour of its code."""
        levels = 2**self.bits
        bins = torch.stack([targets // levels**2, targets // levels % levels, targets % levels], dim=1)
        colors = (bins + 0.5) / levels
        return colors.repeat_interleave(self.patch_size, 2).repeat_interleave(self.patch_size, 3)
