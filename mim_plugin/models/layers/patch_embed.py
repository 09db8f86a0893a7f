"""Images to patch vectors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.errors import ConfigError

__all__ = ['PatchEmbed']


class PatchEmbed(nn.Module):
    """Project each patch with one linear map, written as a strided convolution.

    An image whose sides are no multiples of the patch is padded with zeros at the
    bottom and the right (zero is the mean colour after normalisation), so that
    nothing of it is lost.

    Args:
        in_channels: Channels of the image.
        dims: Width ``D`` of a token.
        patch_size: Side of a patch in pixels.
        norm_eps: Epsilon of a layer norm of the patch vectors; None = no norm.
    """

    def __init__(self, in_channels: int, dims: int, patch_size: int, norm_eps: float | None = None) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Conv2d(in_channels, dims, patch_size, stride=patch_size)
        self.norm = nn.Identity() if norm_eps is None else nn.LayerNorm(dims, eps=norm_eps)

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches that cover an image of ``height`` x ``width`` pixels."""
        return -(-height // self.patch_size), -(-width // self.patch_size)

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Embed ``(B, C, H, W)``.

        Returns:
            Patch vectors ``(B, h * w, D)`` row by row, and the grid ``(h, w)``.

        Raises:
            ConfigError: The number of channels is not ``in_channels``.
        """
        if images.ndim != 4 or images.shape[1] != self.projection.in_channels:
            raise ConfigError(
                f'The backbone got a tensor of shape {tuple(images.shape)} instead of '
                f'(B, {self.projection.in_channels}, H, W); set its in_channels to that of the images.'
            )
        height, width = images.shape[-2:]
        rows, columns = self.grid_size(height, width)
        bottom, right = rows * self.patch_size - height, columns * self.patch_size - width
        if bottom or right:
            images = F.pad(images, (0, right, 0, bottom))
        return self.norm(self.projection(images).flatten(2).transpose(1, 2)), (rows, columns)
