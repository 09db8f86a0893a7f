"""Our own names, which are also those of the transformers of mmpretrain and of the Swin of all toolboxes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.formats import swin
from mim_plugin.checkpoints.formats.base import Change, Format, Rule, under
from mim_plugin.checkpoints.formats.traits import below, build_backbone, is_swin

__all__ = ['OursFormat']

PARTS = (
    'backbone.*', 'tokenizer.*', 'head.*', 'patch_head.*', 'loss_module.*', 'neck.*',
    'decode_head.*', 'auxiliary_head.*', 'rpn_head.*', 'roi_head.*', 'bbox_head.*', 'mask_head.*',
)  # fmt: skip
BACKBONE = re.compile(
    r'(cls_token|pos_embed|patch_embed|mask_token|reg_token|rel_pos_bias|layers|stages|ln[12]|norm\d+)\b'
)
_DERIVED = Change('follows from the config or from sizes')


class OursFormat(Format):
    """Training checkpoints, exported networks, bare backbones."""

    name, title, aliases = 'mim_plugin', 'mim_plugin', ('ours',)
    parity = 'all others are compared with it'
    holds_pair = True

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Blocks with our names, or a part of an algorithm."""
        block = re.compile(r'(tokenizer\.)?(backbone\.)?(layers\.\d+\.ln1\.|stages\.\d+\.blocks\.)')
        return any(block.match(name) for name in state) or all(name.startswith(_BEGINNINGS) for name in state)

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        parts = tuple(Rule(name, name) for name in PARTS)
        if writing:
            return (*parts, Rule('blocks.*', 'blocks.*'))  # networks of DALL-E, which are no part of an algorithm
        derived = [Rule(name, (), _DERIVED) for name in ('data_preprocessor.*', '*.relative_position_index')]
        prefix = 'backbone.' if any(name.startswith('backbone.') for name in state) else ''
        bare = [Rule(name, f'backbone.{name}') for name in state if not prefix and BACKBONE.match(name)]
        if is_swin(state):
            bare = under(swin.rules_of_toolbox(below(state, prefix) if prefix else state), prefix)
        return (*bare, *derived, *parts)

    def outputs(self, state: dict[str, Tensor], config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        backbone = build_backbone(config).eval()
        backbone.load_state_dict(below(state, 'backbone.'))
        with torch.no_grad():
            return backbone.forward_tokens(images)[:, backbone.num_prefix_tokens :]


_BEGINNINGS = tuple(name.removesuffix('*') for name in PARTS)
