"""Names of Swin transformers: those of the published iBOT and Swin files and timm's, and ours, which are mmpretrain's.

Two things are more than names. The published code joins the four cells that a merging takes cell by cell, the
toolboxes and we do it channel by channel (:class:`torch.nn.Unfold`); the weights are permuted. And timm counts a
merging to the stage after it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from mim_plugin.checkpoints.formats.base import Change, Rule, pairs
from mim_plugin.checkpoints.formats.names import rename
from mim_plugin.checkpoints.formats.traits import count
from mim_plugin.checkpoints.formats.vit_rules import with_index

__all__ = [
    'backbone_to_official',
    'index_of_table',
    'is_official',
    'is_ours',
    'official_name',
    'rules_of_official',
    'rules_of_toolbox',
    'value_from_official',
    'value_to_official',
]

# (official, ours), see the tables of iBOT's file. The final norm is numbered by us.
NAMES = (
    ('masked_embed', 'mask_token'),
    ('patch_embed.proj.*', 'patch_embed.projection.*'),
    ('patch_embed.norm.*', 'patch_embed.norm.*'),
    ('layers.*.blocks.*.norm1.*', 'stages.*.blocks.*.norm1.*'),
    ('layers.*.blocks.*.attn.*', 'stages.*.blocks.*.attn.w_msa.*'),
    ('layers.*.blocks.*.norm2.*', 'stages.*.blocks.*.norm2.*'),
    ('layers.*.blocks.*.mlp.fc1.*', 'stages.*.blocks.*.ffn.layers.0.0.*'),
    ('layers.*.blocks.*.mlp.fc2.*', 'stages.*.blocks.*.ffn.layers.1.*'),
    ('layers.*.downsample.*', 'stages.*.downsample.*'),
)

_TABLE, _INDEX = 'relative_position_bias_table', 'relative_position_index'
# They follow from the sizes of windows and images.
_BUFFERS = (_INDEX, 'attn_mask', 'relative_coords_table')

_MERGED = 'rows of the merging permuted from cell by cell to channel by channel / back'
MERGING = Change(
    _MERGED, lambda v: value_from_official('.downsample.', v), lambda v: value_to_official('.downsample.', v)
)
MASK_TOKEN = Change(
    'one axis more / less',
    lambda value: value.unsqueeze(0) if value.ndim == 2 else value,
    lambda value: value.squeeze(0) if value.ndim == 3 else value,
)
INDEX = with_index(lambda table: index_of_table(table))
DERIVED = Change('follows from the sizes of window and image')

State = dict[str, Tensor]


def is_official(state: Mapping[str, Tensor]) -> bool:
    """Whether names are those of an official (or timm's) Swin backbone without prefix."""
    return 'patch_embed.proj.weight' in state and any(re.match(r'layers\.\d+\.blocks\.', name) for name in state)


def is_ours(state: Mapping[str, Tensor]) -> bool:
    """Whether names are those of our Swin, mmpretrain's, mmdetection's or mmsegmentation's, without prefix."""
    return any(re.match(r'stages\.\d+\.blocks\.\d+\.attn\.w_msa\.', name) for name in state)


def official_name(name: str) -> str | None:
    """The official name of a parameter of our backbone, or None when no Swin has it."""
    if re.fullmatch(r'norm\d+\.(weight|bias)', name):
        return re.sub(r'^norm\d+', 'norm', name)
    return rename(name, NAMES, backwards=True)


def rules_of_official(state: Mapping[str, Tensor], timm: bool = False, writing: bool = False) -> Sequence[Rule]:
    """Rules between a published Swin backbone without prefix, or timm's, and ours.

    Args:
        state: Names without prefix: theirs, or ours when ``writing``.
        timm: Mergings are counted to the stage after them, and there are no index buffers.
        writing: Which way the rules will be read.
    """
    timm = timm or not (writing or 'layers.0.downsample.norm.weight' in state)
    stages = count(state, r'stages\.' if writing else r'layers\.')
    block, ours = 'layers.*.blocks.*.attn.', 'stages.*.blocks.*.attn.w_msa.'
    index = () if timm else (Rule((block + _TABLE, block + _INDEX), ours + _TABLE, INDEX),)
    mergings = [(f'layers.{i + timm}.downsample.', f'stages.{i}.downsample.') for i in range(stages)]
    kinds = ('norm.weight', 'norm.bias', 'reduction.weight')
    return (
        Rule('masked_embed', 'mask_token', MASK_TOKEN),
        *index,
        *(Rule(f'*{buffer}', (), DERIVED) for buffer in _BUFFERS),
        *(Rule(left + kind, right + kind, MERGING) for left, right in mergings for kind in kinds),
        Rule('norm.*', f'norm{stages - 1}.*'),
        *pairs([row for row in NAMES if 'mask_token' not in row and 'downsample' not in row[0]]),
        Rule((), 'norm*', Change('only the last stage has an output norm there'), loses=True),
    )


def rules_of_toolbox(state: Mapping[str, Tensor]) -> Sequence[Rule]:
    """Rules between the Swin of mmpretrain, mmseg or mmdet without prefix and ours: the names are the same."""
    block = 'stages.*.blocks.*.attn.w_msa.'
    last = count(state, r'stages\.') - 1
    return (
        Rule((block + _TABLE, block + _INDEX), block + _TABLE, INDEX),
        *(Rule(f'*{buffer}', (), DERIVED) for buffer in _BUFFERS),
        Rule((), 'mask_token', Change('their class has no mask token'), loses=True),
        Rule('norm.*', f'norm{last}.*', Change('final norm numbered', write=None)),
        *(Rule(f'{part}*', f'{part}*') for part in ('patch_embed.', 'stages.', 'norm')),
    )


def backbone_to_official(state: Mapping[str, Tensor]) -> State:
    """Convert the state dict of a ``MIMSwinTransformer`` to the layout of the published backbone files.

    Index buffers are added. Output norms of other stages than the last have no place there.
    """
    last = _last_stage(state, 'stages')
    official = {}
    for name, value in state.items():
        if re.match(r'norm\d+\.', name) and not name.startswith(f'norm{last}.'):
            continue
        new = official_name(name)
        if new is None:
            continue
        official[new] = value_to_official(new, value)
        if new.endswith(_TABLE):
            official[new.replace(_TABLE, _INDEX)] = index_of_table(value)
    return official


def value_from_official(name: str, value: Tensor) -> Tensor:
    """Bring the value of a parameter, given by any of its names, from the official layout to ours."""
    if name.endswith(('masked_embed', 'mask_token')) and value.ndim == 2:
        return value.unsqueeze(0)
    if '.downsample.' in name:  # (column, row, channel) -> (channel, row, column)
        return value.unflatten(-1, (2, 2, -1)).transpose(-1, -3).flatten(-3)
    return value


def value_to_official(name: str, value: Tensor) -> Tensor:
    """The reverse of :func:`value_from_official`."""
    if name.endswith(('masked_embed', 'mask_token')) and value.ndim == 3:
        return value.squeeze(0)
    if '.downsample.' in name:
        return value.unflatten(-1, (-1, 2, 2)).transpose(-1, -3).flatten(-3)
    return value


def _last_stage(state: Mapping[str, Tensor], beginning: str) -> int:
    return max(int(match[1]) for name in state if (match := re.match(rf'{beginning}\.(\d+)\.', name)))


def index_of_table(table: Tensor) -> Tensor:
    """The index buffer that belongs to the table of a square window."""
    from mim_plugin.models.layers import relative_position_index  # the models import this package

    side = (math.isqrt(len(table)) + 1) // 2
    return relative_position_index((side, side), num_prefix=0)
