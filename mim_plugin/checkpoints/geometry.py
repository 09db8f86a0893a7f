"""Another image size, patch size, number of channels or kind of relative bias, for weights with our names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_plugin.checkpoints.formats.base import Change, Rule, under
from mim_plugin.checkpoints.formats.traits import TABLE, backbone_config, below
from mim_plugin.errors import CheckpointError

__all__ = ['Geometry', 'learned_positions', 'other_channels', 'resize_patches']

POSITION_RULES = ('size', 'ibot', 'bilinear')
_SHARED = f'rel_pos_bias.{TABLE}'
Size = int | tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """What a conversion changes besides names; None leaves it as it is.

    Attributes:
        img_size: Side, or height and width, in pixels: absolute positions are resized by ``position_rule``, tables
            of relative bias along a geometric sequence, as in the published code (rectangles: each axis for itself).
        patch_size: Side of a patch in pixels; the grid follows from both sizes.
        window_size: Side of the windows of a Swin transformer in cells: their tables are resized as pictures, see
            :func:`mim_plugin.models.layers.resize_window_table`. If ``img_size`` is given, too, windows are no larger
            than the map of a stage, as in the backbone.
        in_channels: Channels of the images.
        relative_bias: 'per_block': the table of all blocks is given to each (added to its own); 'shared': the tables
            of all blocks, which must be equal, become one.
        position_rule: See :func:`mim_plugin.models.layers.resize_positions`.
    """

    img_size: Size | None = None
    patch_size: int | None = None
    window_size: int | None = None
    in_channels: int | None = None
    relative_bias: str | None = None
    position_rule: str = 'size'

    def __post_init__(self) -> None:
        if self.relative_bias not in (None, 'shared', 'per_block'):
            raise CheckpointError(f"relative_bias={self.relative_bias!r} is unknown; use 'shared' or 'per_block'.")
        if self.position_rule not in POSITION_RULES:
            raise CheckpointError(f'position_rule={self.position_rule!r} is unknown; use one of {POSITION_RULES}.')
        sizes = (*_pair(self.img_size), self.patch_size, self.window_size, self.in_channels)
        for value in sizes:
            if value is not None and value < 1:
                raise CheckpointError(f'Sizes and channels are at least 1, not {value}.')

    def __bool__(self) -> bool:
        return any((self.img_size, self.patch_size, self.window_size, self.in_channels, self.relative_bias))

    def __str__(self) -> str:
        names = ('img_size', 'patch_size', 'window_size', 'in_channels', 'relative_bias')
        return ', '.join(f'{name}={getattr(self, name)}' for name in names if getattr(self, name))

    def grid(self, config: Mapping[str, Any]) -> tuple[int, int]:
        """Rows and columns of patches afterwards.

        Args:
            config: Settings of the backbone before.
        """
        patch = self.patch_size or config['patch_size']
        sides = _pair(self.img_size or config['img_size'])
        if any(side % patch for side in sides):
            raise CheckpointError(f'An image of {sides} pixels has no whole number of patches of {patch} pixels.')
        return sides[0] // patch, sides[1] // patch

    def rules(self, ours: Mapping[str, Tensor], grid: tuple[int, int] | None = None) -> Sequence[Rule]:
        """Rules from our names to our names; what does not change is in none.

        Args:
            ours: Weights before.
            grid: Their rows and columns of patches, if known; a square otherwise.
        """
        rules: list[Rule] = []
        for prefix in ('backbone.', 'tokenizer.backbone.'):
            backbone = below(ours, prefix)
            if self and backbone:
                rules += under(self._rules_of_backbone(backbone, grid), prefix, prefix)
        return rules

    def _rules_of_backbone(self, backbone: Mapping[str, Tensor], grid: tuple[int, int] | None) -> list[Rule]:
        config = backbone_config(backbone, grid)
        rules = [*self._patch_rules(config)]
        if config['type'] == 'MIMSwinTransformer':
            return rules + self._window_rules(config)
        if self.window_size is not None:
            raise CheckpointError('The backbone has no windows, which only a Swin transformer has.')
        if self.relative_bias is not None and config['relative_bias'] is None:
            raise CheckpointError('The backbone has no relative position bias that could be shared or spread.')
        rows, columns = (side // config['patch_size'] for side in _pair(config['img_size']))
        source = rows, columns
        target = self.grid(config)
        return rules + self._position_rules(source, target) + self._table_rules(backbone, source, target)

    def _patch_rules(self, config: Mapping[str, Any]) -> list[Rule]:
        channels, patch = self.in_channels or config['in_channels'], self.patch_size or config['patch_size']
        words = []
        if channels != config['in_channels']:
            words.append(f'{config["in_channels"]} channels to {channels}')
        if patch != config['patch_size']:
            words.append(f'patches of {config["patch_size"]} pixels to {patch}')
        name = 'patch_embed.projection.weight'
        change = Change(
            ', '.join(words), lambda weight: resize_patches(other_channels(weight, channels), patch), reversible=False
        )
        return [Rule(name, name, change)] if words else []

    def _window_rules(self, config: Mapping[str, Any]) -> list[Rule]:
        from mim_plugin.models.layers import resize_window_table  # the models import this package

        if self.relative_bias is not None or (self.img_size is not None and self.window_size is None):
            raise CheckpointError(
                'A Swin transformer has no image size and no other relative bias in its weights; '
                'what can be changed is the size of its windows.'
            )
        if self.window_size is None:
            return []
        side = min(self.grid(config)) if self.img_size is not None else None
        rules = []
        for stage in range(len(config['arch']['depths'])):
            window = self.window_size if side is None else min(self.window_size, max(side >> stage, 1))
            name = f'stages.{stage}.blocks.*.attn.w_msa.{TABLE}'
            change = Change(
                f'table for windows of {window}x{window} (bicubic)', partial(resize_window_table, window=window),
                reversible=False,
            )  # fmt: skip
            rules.append(Rule(name, name, change))
        return rules

    def _position_rules(self, source: tuple[int, int], target: tuple[int, int]) -> list[Rule]:
        from mim_plugin.models.layers import resize_positions  # the models import this package

        if source == target:
            return []
        words = f'positions {_by(source)} to {_by(target)} ({self.position_rule})'
        read = lambda value: resize_positions(value, source, target, self.position_rule)  # noqa: E731
        return [Rule('pos_embed', 'pos_embed', Change(words, read, reversible=False))]

    def _table_rules(
        self, backbone: Mapping[str, Tensor], source: tuple[int, int], target: tuple[int, int]
    ) -> list[Rule]:
        from mim_plugin.models.layers import resize_bias_table  # the models import this package

        blocks = [name.removesuffix('ln1.weight') for name in backbone if name.endswith('.ln1.weight')]
        own = [f'{block}attn.{TABLE}' for block in blocks if f'{block}attn.{TABLE}' in backbone]
        moved = '' if source == target else f'table {_by(source)} to {_by(target)} (geometric)'

        def resized(table: Tensor) -> Tensor:
            return resize_bias_table(table, source, target) if moved else table

        if self.relative_bias == 'per_block' and _SHARED in backbone:
            names = tuple(f'{block}attn.{TABLE}' for block in blocks)

            def spread(shared: Tensor, *tables: Tensor) -> tuple[Tensor, ...]:
                return tuple(resized(shared + table) for table in tables) or (resized(shared),) * len(names)

            words = ', '.join(filter(None, ['the table of all blocks given to each', moved]))
            return [Rule((_SHARED, *own), names, Change(words, spread, reversible=False))]
        if self.relative_bias == 'shared' and own:
            if _SHARED in backbone or any(not torch.equal(backbone[own[0]], backbone[name]) for name in own):
                raise CheckpointError('The tables of the blocks differ, so that none can stand for all of them.')
            words = ', '.join(filter(None, ['the equal tables of all blocks made one', moved]))
            return [Rule(tuple(own), _SHARED, Change(words, lambda *tables: resized(tables[0]), reversible=not moved))]
        change = Change(moved, resized, reversible=False)
        return [Rule(name, name, change) for name in (_SHARED, *own) if moved]


def learned_positions(config: dict[str, Any], ours: Mapping[str, Tensor]) -> Sequence[Rule]:
    """Rules from our names to our names that turn fixed positions, which are in no file, into learned ones.

    Args:
        config: Settings of the backbone, of which ``pos_embed`` is changed, too.
        ours: Weights before.
    """
    from mim_plugin.models.layers import sincos_positions  # the models import this package

    config['pos_embed'] = 'absolute'
    rows, columns = (side // config['patch_size'] for side in _pair(config['img_size']))

    def add(token: Tensor) -> tuple[Tensor, Tensor]:
        return token, sincos_positions(rows * columns, config['arch']['embed_dims'], token.device).to(token.dtype)

    change = Change('fixed sine positions written as learned ones', add, reversible=False)
    prefixes = [prefix for prefix in ('backbone.', 'tokenizer.backbone.') if f'{prefix}cls_token' in ours]
    return (*(Rule(f'{p}cls_token', (f'{p}cls_token', f'{p}pos_embed'), change) for p in prefixes), Rule('*', '*'))


def other_channels(weight: Tensor, channels: int) -> Tensor:
    """A patch embedding for another number of channels.

    Images whose channels are equal get the same tokens if C' is 1 or a multiple of C.

    Args:
        weight: ``(D, C, p, p)``.
        channels: Wanted number C'.

    Returns:
        ``(D, C', p, p)``: for one channel the sum of all; else the channels in turn, scaled by C / C'.
    """
    count = weight.shape[1]
    if channels == count:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    return weight.repeat(1, math.ceil(channels / count), 1, 1)[:, :channels] * (count / channels)


def resize_patches(weight: Tensor, side: int) -> Tensor:
    """A patch embedding for patches of another size.

    A larger patch that is the bilinear enlargement of a small one gets the token of the small one. Smaller patches get
    the closest to that (least squares).

    Args:
        weight: ``(D, C, p, p)``.
        side: Wanted side p'.

    Returns:
        ``(D, C, p', p')``, of the input's type.

    Source: FlexiViT (arXiv 2212.08013), section 3.3: the pseudo-inverse of the resize.
    """
    old = weight.shape[-1]
    if old == side:
        return weight
    basis = torch.eye(old * old, dtype=torch.float64).view(old * old, 1, old, old)
    enlarge = F.interpolate(basis, (side, side), mode='bilinear', align_corners=False).flatten(1)  # (p * p, p' * p')
    inverse = torch.linalg.pinv(enlarge)  # (p' * p', p * p)
    return (weight.double().flatten(2) @ inverse.t()).unflatten(-1, (side, side)).to(weight.dtype)


def _pair(size: Size | None) -> tuple[int | None, int | None]:
    return tuple(size) if isinstance(size, Sequence) else (size, size)


def _by(grid: tuple[int, int]) -> str:
    return f'{grid[0]}x{grid[1]}'
