"""Building blocks in plain torch, usable without a registry."""

from mim_plugin.models.layers.attention import MultiheadAttention
from mim_plugin.models.layers.block import FeedForward, TransformerBlock
from mim_plugin.models.layers.drop_path import DropPath
from mim_plugin.models.layers.layer_scale import LayerScale
from mim_plugin.models.layers.patch_embed import PatchEmbed
from mim_plugin.models.layers.patch_merging import PatchMerging
from mim_plugin.models.layers.pos_embed import resize_positions, sincos_positions
from mim_plugin.models.layers.relative_bias import (
    RelativePositionBias,
    relative_position_bias,
    relative_position_index,
)
from mim_plugin.models.layers.relative_resize import resize_bias_table, resize_window_table
from mim_plugin.models.layers.window_attention import SwinBlock

__all__ = [
    'DropPath',
    'FeedForward',
    'LayerScale',
    'MultiheadAttention',
    'PatchEmbed',
    'PatchMerging',
    'RelativePositionBias',
    'SwinBlock',
    'TransformerBlock',
    'relative_position_bias',
    'relative_position_index',
    'resize_bias_table',
    'resize_positions',
    'resize_window_table',
    'sincos_positions',
]
