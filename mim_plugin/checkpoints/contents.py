"""Which networks a checkpoint holds, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mim_plugin.checkpoints.formats import ibot
from mim_plugin.checkpoints.formats.base import apply_rules
from mim_plugin.checkpoints.formats.registry import FORMATS, by_name
from mim_plugin.checkpoints.formats.traits import below
from mim_plugin.errors import CheckpointError

__all__ = ['Contents', 'contents_of', 'flat', 'network_of', 'state_dict_of']

State = dict[str, Tensor]
TRAINING_STATE = 'training_state'
OURS = by_name('mim_plugin')


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
    state, _ = flat(checkpoint, source)
    network, origin = network_of(state)
    if not any(name.startswith('tokenizer.backbone.') for name in network):
        student = {name: value for name, value in network.items() if not name.startswith('loss_module.')}
        return Contents(origin, student, student, below(network, 'loss_module.'), is_pair=False)
    official = ibot.is_official(checkpoint)
    origin = f'an official {ibot.method_of(checkpoint)} checkpoint' if official else 'a training checkpoint'
    teacher, loss = below(network, 'tokenizer.'), below(network, 'loss_module.')
    student = {name: value for name, value in network.items() if not name.startswith(('tokenizer.', 'loss_module.'))}
    return Contents(origin, teacher, student, loss)


def network_of(state: Mapping[str, Tensor]) -> tuple[State, str]:
    """Convert flat names of any family to ours; those that it does not know are kept, so that a load can name them.

    Args:
        state: See :func:`flat`.

    Returns:
        Our names, with the prefix ``backbone.``, and what the file is, in words.
    """
    # Index buffers follow from the size of the model, which may be another than that of the file.
    state = {name: value for name, value in state.items() if not name.endswith('relative_position_index')}
    known = next((known for known in FORMATS if known.recognises(state)), None)
    applied = apply_rules(known.rules(state) if known else ibot.rules_of_head(state), state)
    bare = any(name.startswith('backbone.') for name in applied.state) and not any(map(_PREFIX.match, state))
    kept = {_kept(name, bare): state[name] for name in applied.left}
    return applied.state | kept, 'one network' if known is None or known is OURS else f'a file of {known.title}'


_PREFIX = re.compile(r'(student\.|teacher\.|tokenizer\.)?backbone\.')
_PARTS = {'student.': '', 'teacher.': 'tokenizer.', 'ibot_loss.': 'loss_module.', 'dino_loss.': 'loss_module.'}


def _kept(name: str, bare: bool) -> str:
    """A name that no rule knows, in its place among ours."""
    for theirs, ours in _PARTS.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return f'backbone.{name}' if bare and not name.startswith('head.') else name


def flat(checkpoint: Mapping[str, Any], source: str = 'The checkpoint') -> tuple[State, dict[str, Any]]:
    """The tensors of a file by names without ``module.``, and its other entries.

    The networks of a full file stand below ``student.`` and ``teacher.``, its centres below ``ibot_loss.``.
    """
    others = {key: value for key, value in checkpoint.items() if not isinstance(value, Tensor)}
    if not _of_training(others.get('meta')):
        others.pop('meta', None)
    if not ibot.is_official(checkpoint):
        state = state_dict_of(checkpoint, source)
        for key in ('state_dict', 'model', 'module', 'teacher', 'student'):
            if isinstance(others.get(key), Mapping):
                del others[key]
                break
    else:
        state = {}
        for key in ('student', 'teacher', 'ibot_loss', 'dino_loss'):
            tensors = others.pop(key, None) or {}
            state |= {f'{key}.{name.removeprefix("module.")}': tensor for name, tensor in tensors.items()}
    carried = others.pop(TRAINING_STATE, {})
    return state, {**others, **carried}


def _of_training(meta: Any) -> bool:
    """Whether a table is mmengine's of a training (epoch, classes, ...), and not one of strings about the file."""
    return isinstance(meta, Mapping) and any(not isinstance(value, str) for value in meta.values())


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
