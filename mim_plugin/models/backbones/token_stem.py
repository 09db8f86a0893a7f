"""What a plain vision transformer does before its first block."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.models.backbones.base import MIMBackbone
from mim_plugin.models.layers import PatchEmbed, resize_positions, sincos_positions
from mim_plugin.models.layers.pos_embed import RESIZE_RULES

__all__ = ['TokenStem']

POSITIONS = ('absolute', 'sincos', None)


class TokenStem(MIMBackbone):
    """Base of a backbone: images to tokens ([CLS], registers, patches row by row) with positions.

    Parameters are direct members, so that a checkpoint has the usual names (``cls_token``, ``pos_embed``, ...).

    Args:
        dims: Width ``D``.
        img_size: Side, or height and width, in pixels: fixes the number of learned positions.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the images.
        num_registers: Learned tokens after [CLS], without position.
        pos_embed: 'absolute' (learned), 'sincos' (fixed, in no checkpoint), or None.
        pos_interpolation: How positions are resized, see :func:`mim_plugin.models.layers.resize_positions`.
        mask_token: Learn a vector that stands for hidden patches; it starts at zero.
        init_cfg: As in mmengine.

    Raises:
        ConfigError: For values that cannot work.
    """

    def __init__(
        self,
        dims: int,
        img_size: int | Sequence[int],
        patch_size: int,
        in_channels: int,
        num_registers: int = 0,
        pos_embed: str | None = 'absolute',
        pos_interpolation: str = 'size',
        mask_token: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if pos_embed not in POSITIONS:
            raise ConfigError(f'pos_embed={pos_embed!r} is unknown; use one of {POSITIONS}.')
        if pos_interpolation not in RESIZE_RULES:
            raise ConfigError(f'pos_interpolation={pos_interpolation!r} is unknown; use one of {RESIZE_RULES}.')
        self.embed_dims = dims
        self.patch_size = patch_size
        self.num_prefix_tokens = 1 + num_registers
        self.pos_interpolation = pos_interpolation
        self.patch_embed = PatchEmbed(in_channels, dims, patch_size)
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.train_grid = self.grid_size(height, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.reg_token = nn.Parameter(torch.zeros(1, num_registers, dims)) if num_registers else None
        self.fixed_positions = pos_embed == 'sincos'
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.num_positions, dims)) if pos_embed == 'absolute' else None
        # After the positions, as in the published code, whose optimizer states list parameters in this order.
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims)) if mask_token else None

    @property
    def num_positions(self) -> int:
        """Number of patches of an image of ``img_size``."""
        return self.train_grid[0] * self.train_grid[1]

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches of an image of ``height`` x ``width`` pixels."""
        return self.patch_embed.grid_size(height, width)

    def stem_tokens(self) -> list[nn.Parameter]:
        """The learned vectors: [CLS], registers, mask token, positions; those that exist."""
        return [t for t in (self.cls_token, self.reg_token, self.mask_token, self.pos_embed) if t is not None]

    def embed(self, images: Tensor, mask: Tensor | None = None) -> tuple[Tensor, tuple[int, int]]:
        """Make the tokens that enter the first block.

        Args:
            images: Normalised images ``(B, C, H, W)``.
            mask: bool ``(B, h, w)``, True = hidden.

        Returns:
            Tokens ``(B, T, D)``, and the grid ``(h, w)``.
        """
        patches, grid = self.patch_embed(images)
        if mask is not None:
            patches = self._hide(patches, mask, grid)
        cls, positions = self.cls_token, self.positions(grid)
        if positions is not None:
            cls, patches = cls + positions[:, :1], patches + positions[:, 1:]
        prefix = cls if self.reg_token is None else torch.cat([cls, self.reg_token], dim=1)
        return torch.cat([prefix.expand(images.shape[0], -1, -1), patches], dim=1), grid

    def _hide(self, patches: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.mask_token is None:
            raise ConfigError('A mask was given to a backbone without mask token; set mask_token=True in its config.')
        if mask.shape != (len(patches), *grid):
            raise ConfigError(
                f'A mask of shape {tuple(mask.shape)} does not fit {len(patches)} images of {grid} patches; '
                'the patch_size of the mask transform must be that of the backbone.'
            )
        hidden = mask.to(torch.bool).flatten(1).unsqueeze(-1)
        return torch.where(hidden, self.mask_token.to(patches.dtype), patches)

    def positions(self, grid: tuple[int, int]) -> Tensor | None:
        """Position vectors ``(1, 1 + h * w, D)`` of [CLS] and of a grid of patches; None where there are none."""
        positions = self.pos_embed
        if self.fixed_positions:
            token = self.cls_token
            positions = sincos_positions(self.num_positions, self.embed_dims, token.device).to(token.dtype)
        if positions is None:
            return None
        return resize_positions(positions, self.train_grid, grid, self.pos_interpolation)
