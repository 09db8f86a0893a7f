"""Names in the published BEiT checkpoints (pretraining, fine-tuned, segmentation) and in ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mim_plugin.checkpoints.formats import ibot
from mim_plugin.checkpoints.formats.base import Format, Rule, pairs, under
from mim_plugin.checkpoints.formats.names import rename
from mim_plugin.checkpoints.formats.traits import below, is_swin
from mim_plugin.checkpoints.formats.vit_rules import NO_KEY_BIAS, table_with_index, unplaced
from mim_plugin.errors import CheckpointError

__all__ = ['BEiTFormat', 'index_of_table', 'is_official', 'official_name', 'to_official']

# (official, ours), see the tables of iBOT's file, from which BEiT's differ in the mask token and what it adds.
BACKBONE_NAMES = (
    ('mask_token', 'mask_token'),
    ('rel_pos_bias.*', 'rel_pos_bias.*'),
    *(row for row in ibot.BACKBONE_NAMES if row[1] != 'mask_token'),
)
PRETRAIN_HEAD_NAMES = (('lm_head.*', 'head.linear.*'),)
CLASSIFIER_HEAD_NAMES = (('head.*', 'head.*'),)
# BEiT's segmentation backbone holds the pyramid, which is a neck of ours.
NECK_NAMES = tuple((f'fpn{i + 1}.*', f'neck.levels.{i}.*') for i in range(4))
TABLE = (
    *PRETRAIN_HEAD_NAMES,
    *CLASSIFIER_HEAD_NAMES,
    *NECK_NAMES,
    *((left, f'backbone.{right}') for left, right in BACKBONE_NAMES),
)

_INDEX = 'relative_position_index'
State = dict[str, Tensor]


def is_official(state: Mapping[str, Tensor]) -> bool:
    """Whether names are those of an official BEiT model, without prefix.

    Its blocks are named like those of timm and iBOT. What tells it: biases for queries and values, a relative
    position bias, a mask token of this name, a head of codes, and what iBOT, DeiT and timm name like it: a
    classifier's layer, and (iBOT) a pyramid in the backbone.
    """
    ends = ('.attn.q_bias', 'relative_position_bias_table', _INDEX)
    heads = ('mask_token', 'lm_head.weight', 'head.weight', 'fpn1.0.weight')
    return ibot.is_official_vit(state) and any(name.endswith(ends) or name in heads for name in state)


def official_name(name: str) -> str | None:
    """The official name of a parameter of ours: ``backbone.*``, ``head.*`` or ``neck.*``."""
    return rename(name, TABLE, backwards=True)


def to_official(state: Mapping[str, Tensor], grid: tuple[int, int] | None = None) -> dict[str, State]:
    """Convert the state dict of our ``BEiT`` or ``MIMClassifier`` to the layout of the official files.

    Args:
        state: ``state_dict()`` of the algorithm.
        grid: Rows and columns of patches, for the index buffers; None for a square of them.

    Returns:
        ``model``: the official names with their index buffers.

    Raises:
        CheckpointError: The tables do not fit the grid.
    """
    official = {}
    for name, value in state.items():
        new = official_name(name)
        if new is None:
            continue
        official[new] = value
        if new.endswith('relative_position_bias_table'):
            official[new.replace('relative_position_bias_table', _INDEX)] = index_of_table(value, grid)
    return {'model': official}


def index_of_table(table: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
    """The index buffer that belongs to a table; its grid is a square when None."""
    from mim_plugin.models.layers import relative_position_index  # the models import this package

    offsets = len(table) - 3
    if grid is None:
        side = (math.isqrt(offsets) + 1) // 2
        grid = (side, side)
    if (2 * grid[0] - 1) * (2 * grid[1] - 1) != offsets:
        raise CheckpointError(
            f'A relative position bias of {len(table)} rows does not belong to a grid of {tuple(grid)} patches; '
            'give the grid of the model.'
        )
    return relative_position_index(tuple(grid))


def rules_of_backbone() -> Sequence[Rule]:
    """Rules between a backbone of the published code without prefix and ours."""
    return (
        Rule(('blocks.*.attn.q_bias', 'blocks.*.attn.v_bias'), 'layers.*.attn.qkv.bias', NO_KEY_BIAS),
        *table_with_index('blocks.*.attn.', 'layers.*.attn.'),
        *table_with_index('rel_pos_bias.', 'rel_pos_bias.'),
        *pairs(BACKBONE_NAMES),
    )


_SEGMENTER = ('decode_head.*', 'auxiliary_head.*')


class BEiTFormat(Format):
    """Pretraining, fine-tuned and segmentation files of the published code."""

    name, title = 'beit', 'BEiT (official)'
    compared_by, parity = "timm's class", "the published code (stored results); with `--verify` timm's class"
    limits = 'no registers, no Swin, no teacher'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """See :func:`is_official`."""
        return is_official(state) or is_official(below(state, 'backbone.'))

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        if writing and is_swin(state):
            raise CheckpointError("BEiT has no Swin transformer; convert to 'ibot', 'timm' or a toolbox instead.")
        if writing and 'backbone.reg_token' in state:
            raise CheckpointError("The backbone has registers, for which BEiT's transformer has no place.")
        beginnings = ('neck.', 'decode_head.') if writing else ('backbone.',)
        prefix = 'backbone.' if any(name.startswith(beginnings) for name in state) else ''
        return (
            *pairs(PRETRAIN_HEAD_NAMES),
            *pairs([(f'head.{kind}', f'head.{kind}') for kind in ('weight', 'bias')]),
            *under(pairs(NECK_NAMES), prefix, ''),
            *under(rules_of_backbone(), prefix),
            *pairs([(name, name) for name in _SEGMENTER]),
            *unplaced('head.*', 'patch_head.*', 'loss_module.*', 'neck.*', why='published models have no such part'),
        )

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        from mim_plugin.checkpoints.formats.classes import published_outputs

        return published_outputs(below(state, 'backbone.') or state, config, images)

    def nested(self, state: State) -> dict[str, Any]:
        """``model``, or for a segmenter ``state_dict``, as in the published files."""
        return {'state_dict' if any(name.startswith('backbone.') for name in state) else 'model': state}
