"""Names in the published iBOT checkpoints (and those of DINO, DeiT and timm's ViT) and in ours.

One table, read from left to right to load an official file and from right to
left to write one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.formats import swin
from mim_plugin.checkpoints.formats.base import Change, Format, Rule, pairs, under
from mim_plugin.checkpoints.formats.names import rename
from mim_plugin.checkpoints.formats.traits import TABLE as BIAS_TABLE
from mim_plugin.checkpoints.formats.traits import below, has, is_swin
from mim_plugin.checkpoints.formats.vit_rules import ZERO_KEYS, unplaced
from mim_plugin.errors import CheckpointError

__all__ = [
    'DINOFormat',
    'IBOTFormat',
    'backbone_to_official',
    'head_to_official',
    'is_official',
    'is_official_vit',
    'method_of',
    'network_to_official',
    'official_name',
    'to_official',
    'value_to_official',
]

# (official, ours), see `rename`. The names of a Swin backbone stand in a file of their own.
BACKBONE_NAMES = (
    ('cls_token', 'cls_token'),
    ('pos_embed', 'pos_embed'),
    ('masked_embed', 'mask_token'),
    ('patch_embed.proj.*', 'patch_embed.projection.*'),
    ('blocks.*.gamma_1', 'layers.*.attn.gamma1.weight'),
    ('blocks.*.gamma_2', 'layers.*.ffn.gamma2.weight'),
    ('blocks.*.norm1.*', 'layers.*.ln1.*'),
    ('blocks.*.attn.*', 'layers.*.attn.*'),
    ('blocks.*.norm2.*', 'layers.*.ln2.*'),
    ('blocks.*.mlp.fc1.*', 'layers.*.ffn.layers.0.0.*'),
    ('blocks.*.mlp.fc2.*', 'layers.*.ffn.layers.1.*'),
    ('norm.*', 'ln1.*'),
    ('fc_norm.*', 'ln2.*'),
)
HEAD_NAMES = (
    ('mlp.*', 'mlp.*'),
    ('mlp2.*', 'mlp2.*'),
    ('patch_mlp.*', 'patch_mlp.*'),  # ours alone: no published head has an MLP for patches
    ('last_layer.weight_*', 'last_layer.weight_*'),
    ('last_layer2.weight_*', 'last_layer2.weight_*'),
)
LOSS_NAMES = (('center', 'center'), ('center2', 'center2'))

# Newer torch names the two factors of a weight norm differently.
WEIGHT_NORM = (
    ('.parametrizations.weight.original0', '.weight_g'),
    ('.parametrizations.weight.original1', '.weight_v'),
)
TABLE = (
    *((f'backbone.{left}', f'backbone.{right}') for left, right in BACKBONE_NAMES),
    *((f'head.{left}', f'head.{right}') for left, right in HEAD_NAMES),
)

State = dict[str, Tensor]


def official_name(name: str) -> str | None:
    """The official name of a parameter of ours, ``backbone.*`` or ``head.*``, without ``module.``."""
    of_swin = swin.official_name(name.removeprefix('backbone.')) if name.startswith('backbone.') else None
    return f'backbone.{of_swin}' if of_swin else rename(name, TABLE, backwards=True)


def is_official(checkpoint: Mapping) -> bool:
    """Whether a file is a full official checkpoint: a state dict each of student and teacher."""
    return all(isinstance(checkpoint.get(key), Mapping) for key in ('student', 'teacher'))


def method_of(checkpoint: Mapping) -> str:
    """'iBOT' or 'DINO', which hides no patches and has no head for them, of a full official checkpoint."""
    hides = any(name.endswith('.masked_embed') or '.last_layer2.' in name for name in checkpoint['student'])
    return 'iBOT' if hides else 'DINO'


def is_official_vit(state: Mapping[str, Tensor]) -> bool:
    """Whether names are those of an official ViT backbone without prefix."""
    return any(name.startswith('blocks.') for name in state) and 'patch_embed.proj.weight' in state


def to_official(state: Mapping[str, Tensor]) -> dict[str, State]:
    """Convert the state dict of our ``IBOT`` algorithm to the layout of the official checkpoints.

    Prototypes that [CLS] and patches share are listed under both official names.
    The student carries the prefix ``module.``; the teacher does too when its head has
    batch norm, as in the published code.

    Args:
        state: ``state_dict()`` of the algorithm.

    Returns:
        ``student``, ``teacher`` and ``ibot_loss``.
    """
    parts = {'student': '', 'teacher': 'tokenizer.'}
    official = {part: network_to_official(below(state, prefix)) for part, prefix in parts.items()}
    official['ibot_loss'] = {
        rename(name, LOSS_NAMES, backwards=True): value
        for name, value in below(state, 'loss_module.').items()
        if rename(name, LOSS_NAMES, backwards=True)
    }
    return wrapped_pair(official)


def wrapped_pair(official: dict[str, State]) -> dict[str, State]:
    """Give the networks of a full file the prefix of distributed training, where published files have it."""
    has_batch_norm = any(name.endswith('running_mean') for name in official['teacher'])
    for part, wrapped in (('student', True), ('teacher', has_batch_norm)):
        prefix = 'module.' if wrapped else ''
        official[part] = {prefix + name: value for name, value in official[part].items()}
    return official


def network_to_official(state: Mapping[str, Tensor]) -> State:
    """Convert one network of ours (``backbone.*``, ``head.*``; other names are left out), without ``module.``."""
    official, backbone = {}, below(state, 'backbone.')
    if swin.is_ours(backbone):
        official = {f'backbone.{name}': value for name, value in swin.backbone_to_official(backbone).items()}
        state = {name: value for name, value in state.items() if not name.startswith('backbone.')}
    for name, value in state.items():
        new = official_name(name)
        if new is not None:
            official[new] = value_to_official(new, value)
    return official | _second_names(official)


def value_to_official(name: str, value: Tensor) -> Tensor:
    """Bring the value (or gradient) of a parameter with this official name to the official layout."""
    return swin.value_to_official(name, value)


def backbone_to_official(state: Mapping[str, Tensor]) -> State:
    """Convert the state dict of a backbone to the layout of the published backbone files."""
    return below(network_to_official({f'backbone.{name}': value for name, value in state.items()}), 'backbone.')


def head_to_official(state: Mapping[str, Tensor]) -> State:
    """Convert the state dict of a ``ProjectionHead``."""
    return below(network_to_official({f'head.{name}': value for name, value in state.items()}), 'head.')


def _second_names(official: State) -> State:
    """The patch layer's names of a head whose patch layer is the layer of [CLS]."""
    if any(name.startswith(('head.last_layer2.', 'head.mlp2.')) for name in official):
        return {}
    last = [name for name in official if name.startswith('head.last_layer.')]
    if last:
        return {name.replace('last_layer', 'last_layer2'): official[name] for name in last}
    indices = [int(m[1]) for name in official if (m := re.fullmatch(r'head\.mlp\.(\d+)\.bias', name))]
    return {f'head.mlp2.{key}': official[f'head.mlp.{max(indices)}.{key}'] for key in ('weight', 'bias') if indices}


def rules_of_backbone(state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
    """Rules between a backbone of the published code without prefix and ours."""
    if swin.is_ours(state) if writing else swin.is_official(state):
        return swin.rules_of_official(state, writing=writing)
    return (
        Rule('masked_embed', 'mask_token', swin.MASK_TOKEN),
        Rule('blocks.*.attn.qkv.bias', ('layers.*.attn.q_bias', 'layers.*.attn.v_bias'), ZERO_KEYS),
        *pairs([row for row in BACKBONE_NAMES if row[1] != 'mask_token']),
    )


_TWICE = Change('one layer for [CLS] and patches, listed twice there', lambda a, _: a, lambda value: (value, value))
_LISTED_ONCE = Change('a layer that is listed once, and is written twice', write=None, reversible=False)
_OLDER = Change('weight norm under its older name', write=None, reversible=False)
_OLDER_ONCE = Change(
    'one layer for [CLS] and patches; weight norm under its older name', lambda a, _: a, None, reversible=False
)


def rules_of_head(state: Mapping[str, Tensor], writing: bool = False, twice: bool = True) -> Sequence[Rule]:
    """Rules for a head without prefix.

    Args:
        state: Its names, which are the same on both sides.
        writing: Which way the rules will be read.
        twice: List the prototypes that [CLS] and patches share under both names.
    """
    last = max((int(m[1]) for name in state if (m := re.fullmatch(r'mlp\.(\d+)\.bias', name))), default=0)
    first, second = 'last_layer', 'last_layer2'
    newer, kinds = zip(*WEIGHT_NORM)
    older = [Rule(f'{layer}{new}', f'{layer}{old}', _OLDER) for new, old in WEIGHT_NORM for layer in (first, second)]
    once: list[Rule] = []
    if _is_one(state, first, second, newer):
        once = [Rule((first + new, second + new), first + old, _OLDER_ONCE) for new, old in WEIGHT_NORM]
    if not has(state, 'last_layer.weight_v', 'last_layer.parametrizations.weight.original1'):
        first, second, kinds = f'mlp.{last}', 'mlp2', ('.weight', '.bias')
    if twice and (second + kinds[0] not in state if writing else _is_one(state, first, second, kinds)):
        once += [Rule((first + kind, second + kind), first + kind, _TWICE) for kind in kinds]
    elif twice and not has(state, f'last_layer2{WEIGHT_NORM[1][0]}', second + kinds[0]):
        once += [Rule(first + kind, first + kind, _LISTED_ONCE) for kind in kinds]
    return (*once, *older, *pairs(HEAD_NAMES))


def _is_one(state: Mapping[str, Tensor], first: str, second: str, kinds: Sequence[str]) -> bool:
    """Whether two layers are the same in all parts; frozen norms alone are equal in two as well."""
    parts = [(state.get(first + kind), state.get(second + kind)) for kind in kinds]
    return all(a is not None and b is not None and torch.equal(a, b) for a, b in parts)


def rules_of_network(state: Mapping[str, Tensor], writing: bool, prefix: str, twice: bool = True) -> Sequence[Rule]:
    """Rules for one network. ``prefix`` is what the backbone has in the file: 'backbone.' or nothing."""
    ours = 'backbone.' if writing else prefix
    backbone = rules_of_backbone(below(state, ours) if ours else state, writing)
    return (*under(rules_of_head(below(state, 'head.'), writing, twice), 'head.', 'head.'), *under(backbone, prefix))


UNPLACED = unplaced(
    'head.*', 'patch_head.*', 'neck.*', 'decode_head.*', 'auxiliary_head.*', 'loss_module.*',
    why='the published networks have no such part',
)  # fmt: skip


class IBOTFormat(Format):
    """Full files (student, teacher and centres), single networks, bare backbones."""

    name, title = 'ibot', 'iBOT (official), DINO backbone'
    compared_by, parity = "timm's class", "the published code (stored results); with `--verify` timm's class"
    limits = 'no relative position bias in a plain transformer, no registers'
    holds_pair = True
    twice = True

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Names of the published code."""
        if _is_pair(state):
            return True
        backbone = below(state, 'backbone.') or state
        return is_official_vit(backbone) or swin.is_official(backbone)

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        if writing:
            _refuse(below(state, 'backbone.'))
        pair = any(name.startswith('tokenizer.') for name in state) if writing else _is_pair(state)
        if not pair:
            prefixed = any(name.startswith('head.' if writing else 'backbone.') for name in state)
            return (*rules_of_network(state, writing, 'backbone.' if prefixed else '', self.twice), *UNPLACED)
        student, teacher = (state, below(state, 'tokenizer.')) if writing else _networks(state)
        return (
            *under(rules_of_network(teacher, writing, 'backbone.', self.twice), 'teacher.', 'tokenizer.'),
            *under(rules_of_network(student, writing, 'backbone.', self.twice), 'student.', ''),
            *(under(pairs(LOSS_NAMES), f'{self.name}_loss.', 'loss_module.')),
            *UNPLACED,
        )

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        from mim_plugin.checkpoints.formats.classes import published_outputs

        return published_outputs(below(state, 'backbone.') or state, config, images)

    def nested(self, state: State) -> dict[str, Any]:
        """Both networks under their keys; one network as ``state_dict``, as in the published backbone files."""
        if not _is_pair(state):
            return {'state_dict': state}
        return wrapped_pair({part: below(state, f'{part}.') for part in ('student', 'teacher', f'{self.name}_loss')})

    def with_training_state(self, checkpoint: dict[str, Any], entries: Mapping[str, Any]) -> dict[str, Any]:
        """At the top level, as in the published files."""
        return {**checkpoint, **entries}


class DINOFormat(IBOTFormat):
    """The full files of DINO: a head for [CLS] alone. Its bare backbones have iBOT's names."""

    name, title = 'dino', 'DINO (official, full file)'
    parity = "backbone: timm's class; head and centre: names only"
    limits = f'{IBOTFormat.limits}, no head for patches, no Swin, two networks only'
    twice = False

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Two networks without a second last layer."""
        return _is_pair(state) and not has(state, '.masked_embed') and not any('.last_layer2.' in n for n in state)

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        if not writing:
            return super().rules(state)
        if is_swin(state) or not any(name.startswith('tokenizer.') for name in state):
            raise CheckpointError("A full file of DINO holds two plain transformers; convert to 'ibot' instead.")
        patches = ('head.last_layer2.*', 'head.mlp2.*', 'head.patch_mlp.*')
        lost = ('backbone.mask_token', 'loss_module.center2', *patches, *(f'tokenizer.{name}' for name in patches))
        return (*unplaced(*lost, why='DINO hides no patches and has no head for them'), *super().rules(state, writing))


def _is_pair(state: Mapping[str, Tensor]) -> bool:
    return all(any(name.startswith(part) for name in state) for part in ('student.', 'teacher.'))


def _networks(state: Mapping[str, Tensor]) -> tuple[State, State]:
    return below(state, 'student.'), below(state, 'teacher.')


def _refuse(backbone: Mapping[str, Tensor]) -> None:
    """What no class of the published code computes."""
    if is_swin(backbone) or not backbone:
        return
    if has(backbone, BIAS_TABLE):
        raise CheckpointError("iBOT's plain transformer has no relative position bias; convert to 'beit' instead.")
    if 'reg_token' in backbone:
        raise CheckpointError("The backbone has registers, for which iBOT's transformer has no place.")
    if 'pos_embed' not in backbone:
        raise CheckpointError("The backbone has no learned positions, without which iBOT's transformer cannot run.")
