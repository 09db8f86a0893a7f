"""Names in the published DINOv2 checkpoints (with registers or without) and in ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.formats import ibot, swin
from mim_plugin.checkpoints.formats.base import Change, Format, Rule, pairs, under
from mim_plugin.checkpoints.formats.traits import TABLE, below, has, is_swin
from mim_plugin.checkpoints.formats.vit_rules import ZERO_KEYS, unplaced
from mim_plugin.errors import CheckpointError

__all__ = ['DINOv2Format']

# (theirs, ours) where they differ from those of iBOT.
NAMES = (
    ('register_tokens', 'reg_token'),
    ('blocks.*.ls1.gamma', 'layers.*.attn.gamma1.weight'),
    ('blocks.*.ls2.gamma', 'layers.*.ffn.gamma2.weight'),
    *(row for row in ibot.BACKBONE_NAMES if row[1] not in ('mask_token', 'ln2.*') and 'gamma' not in row[0]),
)
# In training the blocks stand in groups; their own numbers go on from group to group.
_CHUNK = re.compile(r'^blocks\.(\d+)\.(?=\d+\.)')
_ONES = Change('a scale of one added', None, lambda weight: (weight, weight.new_ones(len(weight))), reversible=False)
_ZEROS = Change(
    'a mask token of zeros added', None, lambda token: (token, torch.zeros_like(token[0])), reversible=False
)
_CHUNKED = Change('the number of the group left out', write=None, reversible=False)
_HEADS = Change('a head of pretraining, whose layers ours does not have')

State = dict[str, Tensor]


class DINOv2Format(Format):
    """Bare backbones, and the teacher of a training checkpoint without its heads."""

    name, title = 'dinov2', 'DINOv2 (official)'
    compared_by, parity = "timm's class", "timm's class"
    limits = 'no SwiGLU (ViT-g), no relative bias, no heads, no norm of the mean patch'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Its scales beside a mask token or registers (timm's has neither), or its gated layers."""
        backbone = below(state, 'backbone.') or state
        if 'patch_embed.proj.weight' not in backbone or not has(backbone, '.ls1.gamma'):
            return False
        return has(backbone, 'mlp.w12.weight') or 'mask_token' in backbone or 'register_tokens' in backbone

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        prefix = 'backbone.' if not writing and any(name.startswith('backbone.') for name in state) else ''
        backbone = below(state, 'backbone.') if writing or prefix else state
        added = _refuse_or_add(backbone) if writing else _chunks(backbone)
        if has(backbone, 'mlp.w12.weight'):
            raise CheckpointError(
                'The checkpoint has SwiGLU feed-forward layers (mlp.w12, as in ViT-g/14), which MIMVisionTransformer '
                'does not compute; use ViT-S, B or L.'
            )
        rules = (
            *added,
            Rule('mask_token', 'mask_token', swin.MASK_TOKEN),
            Rule('blocks.*.attn.qkv.bias', ('layers.*.attn.q_bias', 'layers.*.attn.v_bias'), ZERO_KEYS),
            *pairs(NAMES),
        )
        return (
            *(Rule(f'{head}.*', (), _HEADS, loses=True) for head in ('dino_head', 'ibot_head')),
            *under(rules, prefix),
            *unplaced('head.*', 'patch_head.*', 'loss_module.*', 'neck.*', 'decode_head.*', 'auxiliary_head.*'),
        )

    def nested(self, state: State) -> dict[str, Any]:
        """The tensors at the top level, as in the published files."""
        return dict(state)

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """By timm's class, which computes the same; the published one is no package."""
        from mim_plugin.checkpoints.formats.classes import timm_outputs

        names = {_CHUNK.sub('blocks.', name.removeprefix('backbone.')): value for name, value in state.items()}
        names = {n: v for n, v in names.items() if n != 'mask_token' and not n.startswith(('dino_head', 'ibot_head'))}
        if 'register_tokens' in names:  # with registers timm gives [CLS] no position of its own
            names['reg_token'] = names.pop('register_tokens')
            names['cls_token'] = names['cls_token'] + names['pos_embed'][:, :1]
            names['pos_embed'] = names['pos_embed'][:, 1:]
        return timm_outputs(names, {**config, 'layer_scale': 1.0}, images)


def _chunks(backbone: Mapping[str, Tensor]) -> tuple[Rule, ...]:
    """Rules for the blocks of a training checkpoint, which stand in groups there."""
    groups = sorted({match[1] for name in backbone if (match := _CHUNK.match(name))})
    rows = [row for row in NAMES if row[0].startswith('blocks.*.')]
    return tuple(
        Rule(theirs.replace('blocks.', f'blocks.{i}.', 1), ours, _CHUNKED) for i in groups for theirs, ours in rows
    )


def _refuse_or_add(backbone: Mapping[str, Tensor]) -> tuple[Rule, ...]:
    """Rules for what DINOv2 always has and a backbone of ours need not have.

    Raises:
        CheckpointError: Its transformer does not compute what the backbone does; the reason is named.
    """
    missing = {
        'is a Swin transformer': is_swin(backbone),
        'has a relative position bias': has(backbone, TABLE),
        'has no learned positions': 'pos_embed' not in backbone,
        'has no final norm of its tokens': 'ln1.weight' not in backbone,
    }
    for why in [why for why, holds in missing.items() if holds]:
        raise CheckpointError(f'The backbone {why}, which the transformer of DINOv2 cannot express.')
    added = ()
    if 'mask_token' not in backbone:
        added += (Rule(('cls_token', 'mask_token'), 'cls_token', _ZEROS),)
    if not has(backbone, 'attn.gamma1.weight'):
        layers = (('attn.proj', 'attn.proj', 'ls1'), ('mlp.fc2', 'ffn.layers.1', 'ls2'))
        added += tuple(
            Rule((f'blocks.*.{theirs}.weight', f'blocks.*.{scale}.gamma'), f'layers.*.{ours}.weight', _ONES)
            for theirs, ours, scale in layers
        )
    return added
