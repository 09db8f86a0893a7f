"""Names of timm's vision transformers, BEiT and Swin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mim_plugin.checkpoints.formats import beit, ibot, swin
from mim_plugin.checkpoints.formats.base import Change, Format, Rule, pairs, under
from mim_plugin.checkpoints.formats.traits import TABLE, below, has, is_swin
from mim_plugin.checkpoints.formats.vit_rules import INDEX, NO_KEY_BIAS, ZERO_KEYS, refuse_unless_standard, unplaced

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
    limits = 'no registers, no mask token, no head for patches'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Scales of its own, a classifier's layer on joined biases, or mergings counted to the next stage."""
        if swin.is_official(state):
            return 'layers.1.downsample.norm.weight' in state and 'layers.0.downsample.norm.weight' not in state
        if not ibot.is_official_vit(state) or has(state, 'attn.q_bias', TABLE, INDEX, 'lm_head.weight'):
            return False
        return has(state, '.ls1.gamma') or ('head.weight' in state and has(state, 'attn.qkv.bias'))

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        backbone = below(state, 'backbone.') if writing else state
        of_swin = is_swin(backbone) if writing else swin.is_official(state)
        if of_swin:
            rules, head = swin.rules_of_official(backbone, timm=True, writing=writing), SWIN_HEAD
        else:
            if writing:
                refuse_unless_standard(backbone, 'timm')
            rules, head = _vit_rules(backbone), HEAD
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
        Rule('blocks.*.attn.qkv.bias', qv, ZERO_KEYS),
        *pairs(ibot.BACKBONE_NAMES),
    )
