"""Names of timm's vision transformers, BEiT and Swin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_plugin.checkpoints.formats import beit, ibot, swin
from mim_plugin.checkpoints.formats.base import Change, Format, Rule, pairs, under
from mim_plugin.checkpoints.formats.traits import TABLE, below, has, is_square, is_swin
from mim_plugin.checkpoints.formats.vit_rules import INDEX, NO_KEY_BIAS, ZERO_KEYS, refuse_unless_standard, unplaced
from mim_plugin.errors import CheckpointError

__all__ = ['TimmFormat']

# (timm's, ours) where they differ from those of BEiT and iBOT.
SCALES = (
    ('blocks.*.ls1.gamma', 'layers.*.attn.gamma1.weight'),
    ('blocks.*.ls2.gamma', 'layers.*.ffn.gamma2.weight'),
)
HEAD = (('head.weight', 'head.weight'), ('head.bias', 'head.bias'))
SWIN_HEAD = (('head.fc.weight', 'head.weight'), ('head.fc.bias', 'head.bias'))

State = dict[str, Tensor]


class TimmFormat(Format):
    """``vit_*``, ``beit_*`` and ``swin_*``, with or without a classifier's layer."""

    name, title = 'timm', 'timm ViT, BEiT, Swin'
    limits = 'no registers beside a relative bias, no mask token, no head for patches'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Scales or registers of its own, a classifier on joined biases, or mergings counted to the next stage."""
        if swin.is_official(state):
            return 'layers.1.downsample.norm.weight' in state and 'layers.0.downsample.norm.weight' not in state
        if not ibot.is_official_vit(state) or has(state, 'attn.q_bias', TABLE, INDEX, 'lm_head.weight'):
            return False
        own = has(state, '.ls1.gamma') or 'reg_token' in state or _without_cls(state)
        return own or ('head.weight' in state and has(state, 'attn.qkv.bias'))

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        backbone = below(state, 'backbone.') if writing else state
        of_swin = is_swin(backbone) if writing else swin.is_official(state)
        if of_swin:
            rules, head = swin.rules_of_official(backbone, timm=True, writing=writing), SWIN_HEAD
        else:
            if writing:
                _refuse(backbone)
            rules, head = (*_positions(backbone, writing), *_vit_rules(backbone)), HEAD
        return (
            *unplaced('backbone.mask_token', why='timm has no mask token'),
            *pairs(head),
            *under(rules),
            *unplaced('head.*', 'patch_head.*', 'loss_module.*', 'neck.*', 'decode_head.*', 'auxiliary_head.*'),
        )

    def nested(self, state: State) -> dict[str, Any]:
        """As timm's ``checkpoint_path`` reads it."""
        return {'state_dict': state}

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        from mim_plugin.checkpoints.formats.classes import timm_outputs

        bare = {name: value for name, value in state.items() if not name.startswith('head.')}
        return timm_outputs(bare, config, images)


def _refuse(ours: Mapping[str, Tensor]) -> None:
    """What none of timm's classes computes."""
    relative = has(ours, TABLE)
    refuse_unless_standard(ours, 'timm', registers=not relative)
    if relative and 'ln1.weight' not in ours and 'ln2.weight' not in ours:
        raise CheckpointError("The backbone has no final norm, without which timm's BEiT cannot be; use ours.")


def _without_cls(backbone: Mapping[str, Tensor]) -> bool:
    """Whether only patches have positions: where timm's models have that, beside registers and learned scales.

    Elsewhere a number that is a square is taken for [CLS] and a rectangle of patches.
    """
    marks = 'reg_token' in backbone or has(backbone, '.ls1.gamma')
    return marks and 'pos_embed' in backbone and is_square(backbone['pos_embed'].shape[1])


def _positions(backbone: Mapping[str, Tensor], writing: bool) -> Sequence[Rule]:
    """Rules for positions without that of [CLS], as timm has them beside registers, or with those of registers."""
    positions, registers = backbone.get('pos_embed'), backbone.get('reg_token')
    if positions is None or (writing and registers is None):
        return ()
    if writing:
        change = Change(
            'the position of [CLS] added to it', None, lambda token, p: (token + p[:, :1], p[:, 1:]),
            reversible=not positions[:, 0].any(),
        )  # fmt: skip
        return (Rule(('cls_token', 'pos_embed'), ('cls_token', 'pos_embed'), change),)
    if _without_cls(backbone):
        added = Change(
            'a position of zeros for [CLS] added', lambda p: F.pad(p, (0, 0, 1, 0)), None, registers is not None
        )
        return (Rule('pos_embed', 'pos_embed', added),)
    if registers is None or is_square(positions.shape[1] - 1):
        return ()
    end = 1 + registers.shape[1]
    change = Change(
        'the positions of registers added to them',
        lambda token, p: (token + p[:, 1:end], torch.cat([p[:, :1], p[:, end:]], dim=1)),
        None,
        reversible=False,
    )
    return (Rule(('reg_token', 'pos_embed'), ('reg_token', 'pos_embed'), change),)


def _vit_rules(backbone: Mapping[str, Tensor]) -> Sequence[Rule]:
    """Rules for a backbone without prefix, by either names."""
    if has(backbone, TABLE):
        return (
            Rule(f'*{INDEX}', (), Change('follows from the size of the table')),
            Rule(('blocks.*.attn.q_bias', 'blocks.*.attn.v_bias'), 'layers.*.attn.qkv.bias', NO_KEY_BIAS),
            *pairs(beit.BACKBONE_NAMES),
        )
    qv = ('layers.*.attn.q_bias', 'layers.*.attn.v_bias')
    return (
        *pairs(SCALES),
        Rule('reg_token', 'reg_token'),
        Rule('blocks.*.attn.qkv.bias', qv, ZERO_KEYS),
        *pairs(ibot.BACKBONE_NAMES),
    )
