"""Parameters that are known by name and shape only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

__all__ = ['NamedModel', 'swin_parameters']


class NamedModel(nn.Module):
    """Parameters in a given order under given names, for rules that look at nothing else.

    Args:
        params: Parameter by name.
    """

    def __init__(self, params: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        self._table = dict(params)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """As of any module."""
        return iter(self._table.items())


def swin_parameters(settings: Mapping[str, Any], with_mask_token: bool) -> dict[str, nn.Parameter]:
    """Parameters of the published Swin backbone, in its order.

    Args:
        settings: Fields of a case: sizes, depths, heads, window.
        with_mask_token: True for a student.

    Returns:
        Empty parameters under the official names, without prefix.
    """
    width, depths = settings['embed_dim'], settings['depths']
    shapes: dict[str, tuple[int, ...]] = {'masked_embed': (1, width)} if with_mask_token else {}
    patch = settings['patch_size']
    shapes['patch_embed.proj.weight'] = (width, 3, patch, patch)
    shapes['patch_embed.proj.bias'] = (width,)
    shapes |= _norm('patch_embed.norm', width)
    side = settings['img_size'] // patch
    for stage, depth in enumerate(depths):
        window = min(settings['window_size'], side)
        for block in range(depth):
            heads = settings['num_heads'][stage]
            shapes |= _block(f'layers.{stage}.blocks.{block}', width, heads, window, settings)
        if stage < len(depths) - 1:
            shapes[f'layers.{stage}.downsample.reduction.weight'] = (2 * width, 4 * width)
            shapes |= _norm(f'layers.{stage}.downsample.norm', 4 * width)
            width, side = 2 * width, side // 2
    shapes |= _norm('norm', width)
    return {name: nn.Parameter(torch.empty(shape)) for name, shape in shapes.items()}


def _block(name: str, width: int, heads: int, window: int, settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden = int(width * settings['mlp_ratio'])
    shapes = _norm(f'{name}.norm1', width)
    shapes[f'{name}.attn.relative_position_bias_table'] = ((2 * window - 1) ** 2, heads)
    shapes |= _linear(f'{name}.attn.qkv', width, 3 * width, settings.get('qkv_bias', True))
    shapes |= _linear(f'{name}.attn.proj', width, width)
    shapes |= _norm(f'{name}.norm2', width)
    return shapes | _linear(f'{name}.mlp.fc1', width, hidden) | _linear(f'{name}.mlp.fc2', hidden, width)


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f'{name}.weight': (width,), f'{name}.bias': (width,)}


def _linear(name: str, fan_in: int, fan_out: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
    return {f'{name}.weight': (fan_out, fan_in)} | ({f'{name}.bias': (fan_out,)} if bias else {})
