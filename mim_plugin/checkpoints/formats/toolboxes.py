"""Names of the transformers that the toolboxes themselves ship: mmpretrain's, mmseg's, mmdet's and timm's, and ours.

Only the way out is here: what we read of mmpretrain and timm is recognised by the tables of BEiT, iBOT and Swin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mim_plugin.checkpoints.formats import beit, ibot, swin
from mim_plugin.checkpoints.formats.names import rename
from mim_plugin.errors import CheckpointError

__all__ = ['TOOLBOXES', 'to_toolbox']

TOOLBOXES = ('mmpretrain', 'mmseg', 'mmdet', 'timm')

# (theirs, ours); a name that stands in no row is the same.
PLAIN_NAMES = {
    'mmpretrain': (),
    'mmseg': (
        ('layers.*.attn.attn.in_proj_*', 'layers.*.attn.qkv.*'),
        ('layers.*.attn.attn.out_proj.*', 'layers.*.attn.proj.*'),
    ),
    'timm': (
        ('blocks.*.ls1.gamma', 'layers.*.attn.gamma1.weight'),
        ('blocks.*.ls2.gamma', 'layers.*.ffn.gamma2.weight'),
        *ibot.BACKBONE_NAMES,
    ),
}
_SCALES = (
    ('layers.*.gamma_1', 'layers.*.attn.gamma1.weight'),
    ('layers.*.gamma_2', 'layers.*.ffn.gamma2.weight'),
)
BEIT_NAMES = {'mmpretrain': _SCALES, 'mmseg': _SCALES, 'timm': beit.BACKBONE_NAMES}

_TABLE, _INDEX = 'relative_position_bias_table', 'relative_position_index'
_SHARED = f'rel_pos_bias.{_TABLE}'
State = dict[str, Tensor]


def to_toolbox(state: Mapping[str, Tensor], toolbox: str) -> State:
    """Bring the state dict of a backbone of ours to the names and the layout of a toolbox's own.

    =========================  =================================  ==============================
    toolbox                    plain ViT                          with relative position bias
    =========================  =================================  ==============================
    mmpretrain                 VisionTransformer                  BEiTViT
    mmseg                      VisionTransformer                  BEiT
    timm                       vit_*                              beit_*
    =========================  =================================  ==============================

    A ``MIMSwinTransformer`` becomes the ``SwinTransformer`` of mmpretrain, mmseg or mmdet, or timm's ``swin_*``.
    What a class has no parameter for is computed into those that it has, which changes no output: a learned scale,
    a bias of queries and values, a table that all blocks share. The mask token is left out.

    Args:
        state: Names without prefix.
        toolbox: One of :data:`TOOLBOXES`.

    Returns:
        Their names; index buffers are included where theirs are part of a state dict.

    Raises:
        CheckpointError: Unknown toolbox, or it has no class for such a backbone.
    """
    if toolbox not in TOOLBOXES:
        raise CheckpointError(f'toolbox={toolbox!r} is unknown; use one of {TOOLBOXES}.')
    state = {name: value for name, value in state.items() if name != 'mask_token'}
    if swin.is_ours(state):
        return _swin(state, toolbox)
    if toolbox == 'mmdet':
        raise CheckpointError('mmdet has no plain vision transformer of its own; use MIMVisionTransformer inside it.')
    if 'reg_token' in state:
        raise CheckpointError(f'The backbone has registers, for which {toolbox} has no place; use ours inside it.')
    relative = any(name.endswith(_TABLE) for name in state)
    state = (_with_relative_bias if relative else _plain)(state, toolbox)
    table = (BEIT_NAMES if relative else PLAIN_NAMES)[toolbox]
    return {rename(name, table, backwards=True) or name: value for name, value in state.items()}


def _plain(state: State, toolbox: str) -> State:
    if 'pos_embed' not in state:
        raise CheckpointError(
            f'The backbone has no learned positions, without which {toolbox} has no class for it; use ours inside it.'
        )
    state = _joined_biases(state)
    return _without_scales(state) if toolbox == 'mmseg' else state


def _with_relative_bias(state: State, toolbox: str) -> State:
    state = _split_biases(state)
    if toolbox == 'mmseg':
        if 'pos_embed' in state:
            raise CheckpointError(
                "mmseg's BEiT has no absolute positions beside its relative bias; use ours inside it."
            )
        state = _with_scales(_spread_shared_table(state))
    if toolbox != 'timm':
        for name in [name for name in state if name.endswith(_TABLE)]:
            state[name.replace(_TABLE, _INDEX)] = beit.index_of_table(state[name])
    return state


def _swin(state: State, toolbox: str) -> State:
    if toolbox == 'timm':
        official = swin.backbone_to_official(state)
        state = {name: value for name, value in official.items() if not name.endswith(_INDEX)}
        # timm counts a merging to the stage after it.
        return {
            re.sub(r'^layers\.(\d+)\.downsample', lambda m: f'layers.{int(m[1]) + 1}.downsample', name): value
            for name, value in state.items()
        }
    for name in [name for name in state if name.endswith(_TABLE)]:
        state[name.replace(_TABLE, _INDEX)] = swin.index_of_table(state[name])
    # Their Swin reads nothing but names below this prefix.
    return {f'backbone.{name}': value for name, value in state.items()} if toolbox in ('mmseg', 'mmdet') else state


def _blocks(state: State) -> list[str]:
    return [name.removesuffix('attn.qkv.weight') for name in state if name.endswith('attn.qkv.weight')]


def _joined_biases(state: State) -> State:
    """Biases of queries and values as one of all three, with zeros for the keys."""
    state = dict(state)
    for block in _blocks(state):
        query, value = state.pop(f'{block}attn.q_bias', None), state.pop(f'{block}attn.v_bias', None)
        if query is not None:
            state[f'{block}attn.qkv.bias'] = torch.cat([query, torch.zeros_like(query), value])
    return state


def _split_biases(state: State) -> State:
    """One bias as those of queries and values: that of the keys adds the same to all logits of a query."""
    state = dict(state)
    for block in _blocks(state):
        joined = state.pop(f'{block}attn.qkv.bias', None)
        if joined is not None:
            state[f'{block}attn.q_bias'], _, state[f'{block}attn.v_bias'] = joined.chunk(3)
    return state


def _without_scales(state: State) -> State:
    """Multiply learned scales into the layer before them."""
    state = dict(state)
    for block in _blocks(state):
        for scale, layer in (('attn.gamma1', 'attn.proj'), ('ffn.gamma2', 'ffn.layers.1')):
            gamma = state.pop(f'{block}{scale}.weight', None)
            if gamma is not None:
                state[f'{block}{layer}.weight'] = gamma[:, None] * state[f'{block}{layer}.weight']
                state[f'{block}{layer}.bias'] = gamma * state[f'{block}{layer}.bias']
    return state


def _with_scales(state: State) -> State:
    """Scales of one where there are none."""
    state = dict(state)
    for block in _blocks(state):
        for scale in ('attn.gamma1.weight', 'ffn.gamma2.weight'):
            state.setdefault(f'{block}{scale}', torch.ones_like(state[f'{block}attn.proj.bias']))
    return state


def _spread_shared_table(state: State) -> State:
    """The table of all blocks, added to that of each."""
    state = dict(state)
    shared = state.pop(_SHARED, None)
    if shared is not None:
        for block in _blocks(state):
            own = state.get(f'{block}attn.{_TABLE}', torch.zeros_like(shared))
            state[f'{block}attn.{_TABLE}'] = own + shared
    return state
