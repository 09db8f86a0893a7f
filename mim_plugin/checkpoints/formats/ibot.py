"""Names in the published iBOT checkpoints (and those of DINO, DeiT and timm's ViT) and in ours.

One table, read from left to right to load an official file and from right to
left to write one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mim_plugin.checkpoints.formats import swin
from mim_plugin.checkpoints.formats.names import rename

__all__ = [
    'backbone_from_official',
    'backbone_to_official',
    'from_official',
    'head_from_official',
    'head_to_official',
    'is_official',
    'is_official_vit',
    'loss_from_official',
    'network_from_official',
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


def is_official_vit(state: Mapping[str, Tensor]) -> bool:
    """Whether names are those of an official ViT backbone without prefix."""
    return any(name.startswith('blocks.') for name in state) and 'patch_embed.proj.weight' in state


def network_from_official(state: Mapping[str, Tensor]) -> State:
    """Convert one network (``backbone.*`` and ``head.*``, with or without ``module.``) to our names.

    A name that the table does not know is kept, so that a strict load reports it.
    """
    state = {name.removeprefix('module.'): value for name, value in state.items()}
    backbone = _below(state, 'backbone.')
    if swin.is_official(backbone):
        backbone = {f'backbone.{name}': value for name, value in swin.backbone_from_official(backbone).items()}
        state = backbone | {name: value for name, value in state.items() if not name.startswith('backbone.')}
    return {_read_name(name, TABLE): _read_value(name, value) for name, value in state.items()}


def backbone_from_official(state: Mapping[str, Tensor]) -> State:
    """Convert a backbone without prefix (the published backbone files) to our names."""
    if swin.is_official(state):
        return swin.backbone_from_official(state)
    return {_read_name(name, BACKBONE_NAMES): _read_value(name, value) for name, value in state.items()}


def head_from_official(state: Mapping[str, Tensor]) -> State:
    """Convert a head without prefix to our names."""
    return {_read_name(name, HEAD_NAMES): value for name, value in state.items()}


def loss_from_official(state: Mapping[str, Tensor]) -> State:
    """Convert the centres."""
    return {_read_name(name, LOSS_NAMES): value for name, value in state.items()}


def from_official(checkpoint: Mapping) -> State:
    """Convert a full official checkpoint to the names of our ``IBOT`` algorithm.

    Args:
        checkpoint: With ``student``, ``teacher`` and, if saved, ``ibot_loss``.

    Returns:
        ``backbone.*``, ``head.*`` (student), ``tokenizer.backbone.*``, ``tokenizer.head.*``
        (teacher) and ``loss_module.*`` (centres).
    """
    state = network_from_official(checkpoint['student'])
    state |= {f'tokenizer.{name}': value for name, value in network_from_official(checkpoint['teacher']).items()}
    loss = loss_from_official(checkpoint.get('ibot_loss') or checkpoint.get('dino_loss') or {})
    return state | {f'loss_module.{name}': value for name, value in loss.items()}


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
    official = {part: network_to_official(_below(state, prefix)) for part, prefix in parts.items()}
    has_batch_norm = any(name.endswith('running_mean') for name in official['teacher'])
    for part, wrapped in (('student', True), ('teacher', has_batch_norm)):
        prefix = 'module.' if wrapped else ''
        official[part] = {prefix + name: value for name, value in official[part].items()}
    official['ibot_loss'] = {
        rename(name, LOSS_NAMES, backwards=True): value
        for name, value in _below(state, 'loss_module.').items()
        if rename(name, LOSS_NAMES, backwards=True)
    }
    return official


def network_to_official(state: Mapping[str, Tensor]) -> State:
    """Convert one network of ours (``backbone.*``, ``head.*``; other names are left out), without ``module.``."""
    official, backbone = {}, _below(state, 'backbone.')
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
    return _below(network_to_official({f'backbone.{name}': value for name, value in state.items()}), 'backbone.')


def head_to_official(state: Mapping[str, Tensor]) -> State:
    """Convert the state dict of a ``ProjectionHead``."""
    return _below(network_to_official({f'head.{name}': value for name, value in state.items()}), 'head.')


def _second_names(official: State) -> State:
    """The patch layer's names of a head whose patch layer is the layer of [CLS]."""
    if any(name.startswith(('head.last_layer2.', 'head.mlp2.')) for name in official):
        return {}
    last = [name for name in official if name.startswith('head.last_layer.')]
    if last:
        return {name.replace('last_layer', 'last_layer2'): official[name] for name in last}
    indices = [int(m[1]) for name in official if (m := re.fullmatch(r'head\.mlp\.(\d+)\.bias', name))]
    return {f'head.mlp2.{key}': official[f'head.mlp.{max(indices)}.{key}'] for key in ('weight', 'bias') if indices}


def _read_name(name: str, table: tuple[tuple[str, str], ...]) -> str:
    for new, old in WEIGHT_NORM:
        name = name.replace(new, old)
    return rename(name, table) or name


def _read_value(name: str, value: Tensor) -> Tensor:
    return value.unsqueeze(0) if name.endswith('masked_embed') and value.ndim == 2 else value


def _below(state: Mapping[str, Tensor], prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
