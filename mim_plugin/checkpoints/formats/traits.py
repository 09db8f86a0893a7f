"""What a network with our names is: the settings of our backbone that has exactly these parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mim_plugin.errors import CheckpointError

__all__ = [
    'TABLE', 'backbone_config', 'below', 'build_backbone', 'count', 'first_backbone', 'fits_grid', 'has', 'is_square',
    'is_swin', 'swin_windows',
]  # fmt: skip

TABLE = 'relative_position_bias_table'


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What stands below a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def has(state: Mapping[str, Tensor], *endings: str) -> bool:
    """Whether a name ends like this."""
    return any(name.endswith(endings) for name in state)


def count(state: Mapping[str, Tensor], beginning: str) -> int:
    """Number of layers: one more than the highest index after ``beginning`` (a regular expression)."""
    pattern = re.compile(rf'{beginning}(\d+)\.')
    return max((int(match[1]) + 1 for name in state if (match := pattern.match(name))), default=0)


def is_swin(state: Mapping[str, Tensor]) -> bool:
    """Whether there is a Swin backbone, with the prefix ``backbone.`` or without."""
    return any(re.match(r'(tokenizer\.)?(backbone\.)?stages\.\d+\.blocks\.', name) for name in state)


def swin_windows(backbone: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Side of the windows of each stage of a Swin transformer, which is that of the map where the map is smaller."""
    tables = [backbone.get(f'stages.{i}.blocks.0.attn.w_msa.{TABLE}') for i in range(count(backbone, r'stages\.'))]
    return tuple((_square(len(table), 'rows of a relative bias') + 1) // 2 for table in tables if table is not None)


def first_backbone(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone of a network, or of the teacher where there is no other, without prefix."""
    return below(ours, 'backbone.') or below(ours, 'tokenizer.backbone.')


def fits_grid(backbone: Mapping[str, Tensor], grid: tuple[int, int]) -> bool:
    """Whether a plain transformer has as many positions, and offsets in its tables, as a grid of patches."""
    rows, columns = grid
    offsets = (2 * rows - 1) * (2 * columns - 1) + 3
    tables = [len(value) for name, value in backbone.items() if name.endswith(TABLE)]
    positions = backbone['pos_embed'].shape[1] if 'pos_embed' in backbone else rows * columns + 1
    return positions == rows * columns + 1 and all(table == offsets for table in tables)


def build_backbone(config: Mapping[str, Any]) -> nn.Module:
    """Our backbone with these settings, also where another toolbox is the default."""
    from mim_plugin.registry import MODELS  # the models import this package

    return MODELS.build({**config, '_scope_': 'mim_plugin'})


def backbone_config(backbone: Mapping[str, Tensor], grid: tuple[int, int] | None = None) -> dict[str, Any]:
    """Settings of our backbone with these parameters.

    Heads of attention leave no trace in the parameters of a plain transformer: one for 64 channels is taken, as
    in all published ones.

    Args:
        backbone: Our names, without prefix.
        grid: Rows and columns of patches, if known; a square otherwise.

    Raises:
        CheckpointError: No backbone, or one whose form cannot be told.
    """
    if 'patch_embed.projection.weight' not in backbone:
        raise CheckpointError('The checkpoint has no backbone: patch_embed.projection.weight is not in it.')
    return _swin(backbone) if is_swin(backbone) else _vit(backbone, grid)


def _vit(state: Mapping[str, Tensor], grid: tuple[int, int] | None) -> dict[str, Any]:
    projection = state['patch_embed.projection.weight']
    dims, patch = projection.shape[0], projection.shape[-1]
    hidden = state.get('layers.0.ffn.layers.0.0.weight')
    if hidden is None:
        raise CheckpointError('The backbone has no blocks: layers.0.ffn.layers.0.0.weight is not in it.')
    if 'cls_token' not in state:
        raise CheckpointError('The backbone has no [CLS] token, which MIMVisionTransformer always has.')
    table = next((value for name, value in state.items() if name.endswith(TABLE)), None)
    arch = {
        'embed_dims': dims,
        'num_layers': count(state, r'layers\.'),
        'num_heads': table.shape[1] if table is not None else dims // 64 if dims % 64 == 0 else 1,
        'feedforward_channels': hidden.shape[0],
    }
    side = None
    if grid is None and 'pos_embed' in state:
        side = _square(state['pos_embed'].shape[1] - 1, 'positions')
    elif grid is None and table is not None:
        side = (_square(len(table) - 3, 'rows of a relative bias') + 1) // 2
    img_size = 224 if side is None else side * patch
    if grid is not None:
        img_size = grid[0] * patch if grid[0] == grid[1] else (grid[0] * patch, grid[1] * patch)
    shared, own = f'rel_pos_bias.{TABLE}' in state, has(state, f'attn.{TABLE}')
    qv, mean_pooling = has(state, 'attn.q_bias'), 'ln2.weight' in state
    return {
        'type': 'MIMVisionTransformer',
        'arch': arch,
        'img_size': img_size,
        'patch_size': patch,
        'in_channels': projection.shape[1],
        'num_registers': state['reg_token'].shape[1] if 'reg_token' in state else 0,
        'pos_embed': 'absolute' if 'pos_embed' in state else None,
        'relative_bias': 'both' if shared and own else 'shared' if shared else 'per_block' if own else None,
        'qkv_bias': 'qv' if qv else 'qkv' if has(state, 'attn.qkv.bias') else None,
        'layer_scale': 0.1 if has(state, 'attn.gamma1.weight') else 0.0,
        'mask_token': 'mask_token' in state,
        'mean_pooling': mean_pooling,
        'final_norm': 'last' if mean_pooling or 'ln1.weight' in state else 'none',
    }


def _swin(state: Mapping[str, Tensor]) -> dict[str, Any]:
    stages = count(state, r'stages\.')
    first = 'stages.0.blocks.0.'
    tables = [state.get(f'stages.{i}.blocks.0.attn.w_msa.{TABLE}') for i in range(stages)]
    hidden, projection = state.get(f'{first}ffn.layers.0.0.weight'), state['patch_embed.projection.weight']
    if hidden is None or any(table is None for table in tables):
        raise CheckpointError('The backbone lacks a relative position bias or a feed-forward layer of a first block.')
    patch, windows = projection.shape[-1], swin_windows(state)
    return {
        'type': 'MIMSwinTransformer',
        'arch': {
            'embed_dims': hidden.shape[1],
            'depths': tuple(count(state, rf'stages\.{i}\.blocks\.') for i in range(stages)),
            'num_heads': tuple(table.shape[1] for table in tables),
        },
        'img_size': windows[-1] * patch * 2 ** (stages - 1),  # the last stage has one window of its size
        'patch_size': patch,
        'in_channels': projection.shape[1],
        'window_size': windows[0],
        'mlp_ratio': hidden.shape[0] / hidden.shape[1],
        'qkv_bias': has(state, 'attn.w_msa.qkv.bias'),
        'mask_token': 'mask_token' in state,
        'out_indices': tuple(i for i in range(stages) if f'norm{i}.weight' in state) or (stages - 1,),
    }


def is_square(number: int) -> bool:
    """Whether so many patches, or offsets, make a square."""
    return number > 0 and math.isqrt(number) ** 2 == number


def _square(number: int, what: str) -> int:
    if not is_square(number):
        raise CheckpointError(f'{number} {what} do not belong to a square; only square ones can be told from a file.')
    return math.isqrt(number)
