"""Images as grids of patches, and back."""

from __future__ import annotations

from torch import Tensor

from mim_plugin.errors import ConfigError

__all__ = ['cut_patches', 'join_patches', 'patch_grid']


def patch_grid(image_size: tuple[int, int], patch_size: int, owner: str) -> tuple[int, int]:
    """Rows and columns of patches of an image of ``(H, W)`` pixels.

    Args:
        image_size: Height and width in pixels.
        patch_size: Side of a patch in pixels.
        owner: Who asks, for the message.

    Raises:
        ConfigError: A side is no multiple of the patch.
    """
    if any(side % patch_size for side in image_size):
        raise ConfigError(
            f'{owner} cannot cut images of {tuple(image_size)} pixels into patches of {patch_size}; '
            'set target_size (or size) of the crop to a multiple of it, or choose another patch size.'
        )
    return image_size[0] // patch_size, image_size[1] // patch_size


def cut_patches(images: Tensor, patch_size: int) -> Tensor:
    """Images ``(B, C, H, W)`` -> pixels of each patch ``(B, h, w, p * p * C)``, row by row, channel last."""
    p = patch_size
    return images.unflatten(3, (-1, p)).unflatten(2, (-1, p)).permute(0, 2, 4, 3, 5, 1).flatten(3)


def join_patches(patches: Tensor, patch_size: int) -> Tensor:
    """The inverse of :func:`cut_patches`: ``(B, h, w, p * p * C)`` -> ``(B, C, H, W)``."""
    p = patch_size
    pixels = patches.unflatten(3, (p, p, -1)).permute(0, 5, 1, 3, 2, 4)
    return pixels.flatten(4, 5).flatten(2, 3)
