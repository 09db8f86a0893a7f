"""Which networks a checkpoint holds, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mim_plugin.checkpoints.formats import beit, ibot, swin
from mim_plugin.checkpoints.formats.base import apply_rules
from mim_plugin.checkpoints.formats.registry import FORMATS
from mim_plugin.errors import CheckpointError

__all__ = ['Contents', 'contents_of', 'state_dict_of']

State = dict[str, Tensor]


@dataclass
class Contents:
    """Networks of a checkpoint, with our names (``backbone.*``, ``head.*``, ...).

    Attributes:
        origin: What the file is, in words.
        teacher: The EMA network. Equal to ``student`` when the file holds one network.
        student: The trained network.
        loss: Centres, without prefix.
        is_pair: Whether the file holds two networks.
    """

    origin: str
    teacher: State
    student: State
    loss: State = field(default_factory=dict)
    is_pair: bool = True


def contents_of(checkpoint: Mapping[str, Any], source: str = 'The checkpoint') -> Contents:
    """Recognise a checkpoint and convert its names.

    Known are: training checkpoints of ours, full and backbone-only iBOT and DINO files, BEiT's (pretraining,
    fine-tuned, segmentation), files with one network (with the prefix ``backbone.`` or without) under our names, and
    those of every other family in :mod:`mim_plugin.checkpoints.formats`.

    Args:
        checkpoint: What :func:`mim_plugin.checkpoints.read_checkpoint` returned.
        source: What an error calls it.

    Returns:
        The networks.

    Raises:
        CheckpointError: There are no tensors in it.
    """
    if ibot.is_official(checkpoint):
        return _pair(ibot.from_official(checkpoint), f'an official {ibot.method_of(checkpoint)} checkpoint')
    state = state_dict_of(checkpoint, source)
    if any(name.startswith('tokenizer.backbone.') for name in state):
        return _pair(state, 'a training checkpoint')
    loss = _below(state, 'loss_module.')
    network = {name: value for name, value in state.items() if not name.startswith('loss_module.')}
    network, origin = _by_rules(network) or _one_network(network)
    return Contents(origin, network, network, loss, is_pair=False)


def state_dict_of(checkpoint: Mapping[str, Any], source: str = 'The checkpoint') -> State:
    """The flat state dict in a checkpoint, without the prefix of distributed training."""
    for key in ('state_dict', 'model', 'module', 'teacher', 'student'):
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
            break
    state = {name: value for name, value in checkpoint.items() if isinstance(value, Tensor)}
    if not state:
        raise CheckpointError(
            f'{source} has no weights, only the keys {sorted(map(str, checkpoint))[:8]}; name a file with a '
            'state dict (at its top level or under "state_dict", "model", "module", "teacher" or "student").'
        )
    if all(name.startswith('module.') for name in state):
        return {name.removeprefix('module.'): value for name, value in state.items()}
    return state


def _pair(state: State, origin: str) -> Contents:
    teacher, loss = _below(state, 'tokenizer.'), _below(state, 'loss_module.')
    student = {name: value for name, value in state.items() if not name.startswith(('tokenizer.', 'loss_module.'))}
    return Contents(origin, teacher, student, loss)


def _by_rules(state: State) -> tuple[State, str] | None:
    """A network of one of the families that only their rules know; names that these do not know are kept."""
    known = next((known for known in FORMATS if known.recognises(state)), None)
    if known is None or known.name in _BELOW:
        return None
    state = {name: value for name, value in state.items() if not name.endswith('relative_position_index')}
    applied = apply_rules(known.rules(state), state)
    return {**applied.state, **{name: state[name] for name in applied.left}}, f'a file of {known.title}'


# Read below: their tables there know more layouts, such as heads and backbones without prefix.
_BELOW = ('dino', 'ibot', 'beit', 'mmdet', 'mim_plugin')


def _one_network(state: State) -> tuple[State, str]:
    backbone = _below(state, 'backbone.')
    if beit.is_official(state) or beit.is_official(backbone):
        return beit.from_official(state), 'a network with BEiT names'
    if ibot.is_official_vit(backbone) or swin.is_official(backbone):
        return ibot.network_from_official(state), 'a network with timm names'
    if swin.is_ours(backbone) or swin.is_ours(state):
        state = swin.without_buffers(state)
    if backbone:
        return state, 'one network'
    if ibot.is_official_vit(state) or swin.is_official(state):
        state, origin = ibot.backbone_from_official(state), 'a backbone with timm names'
    else:
        state, origin = ibot.head_from_official(state), 'one network'
    if any(name.startswith('patch_embed.') for name in state):
        state = {name if name.startswith('head.') else f'backbone.{name}': value for name, value in state.items()}
    return state, origin


def _below(state: Mapping[str, Tensor], prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
