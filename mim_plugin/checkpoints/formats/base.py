"""What a family of checkpoints is to the converter: one table of rules, read in both directions.

A conversion goes from the names of one family to ours and from ours to those of another. Ours are those of our
algorithms: ``backbone.*``, ``head.*``, ``neck.*``, ``decode_head.*``, and for a pretraining with two networks
``tokenizer.backbone.*``, ``tokenizer.head.*`` (the teacher) and ``loss_module.*``.

A family is one module of this package with a subclass of :class:`Format`, and its name in ``formats.FORMATS``::

    class Example(Format):
        name, title = 'example', 'the Example project'

        def recognises(self, state):
            return 'stem.kernel' in state

        def rules(self, state, writing=False):
            return (
                Rule('stem.kernel', 'backbone.patch_embed.projection.weight'),
                Rule(('block.*.q', 'block.*.k', 'block.*.v'), 'backbone.layers.*.attn.qkv.weight', JOINED),
                Rule('block.*.index', (), Change('follows from the size of the table')),  # not needed when reading
                Rule((), 'backbone.mask_token', Change('Example has no mask token'), loses=True),
            )

Rules are tried in their order and each tensor is taken once, so that special ones stand before general ones; ``*``
stands for the same text in all names of a rule. Tensors that no rule takes are an error of the conversion. What cannot
be expressed at all is refused by ``rules`` with a CheckpointError that names it. A family that is a folder and not
a file, or a pickle of another kind, has its own :meth:`Format.load` and :meth:`Format.save`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import CheckpointError

__all__ = ['JOINED', 'SAME', 'Applied', 'Change', 'Format', 'Rule', 'Step', 'apply_rules', 'pairs', 'under']

State = dict[str, Tensor]
Names = tuple[str, ...]
Function = Callable[..., 'Tensor | tuple[Tensor, ...] | None']


def _unchanged(*values: Tensor) -> tuple[Tensor, ...]:
    return values


@dataclass(frozen=True)
class Change:
    """What happens to values on the way.

    Attributes:
        words: For the report; empty when nothing happens.
        read: Takes the tensors of ``theirs``, gives those of ``ours``; may return None: the rule does not apply to
            these values. None instead of a function: the rule is for writing only.
        write: The way back, in the same manner.
        reversible: Whether the other function gives the same tensors back. If not, only outputs stay the same.
    """

    words: str = ''
    read: Function | None = _unchanged
    write: Function | None = _unchanged
    reversible: bool = True


SAME = Change()
# Queries, keys and values, as weights or biases.
JOINED = Change(
    'q, k and v joined / split', lambda *parts: torch.cat(parts), lambda joined: tuple(joined.chunk(3))
)


@dataclass(frozen=True)
class Rule:
    """Names that belong together.

    Attributes:
        theirs: Name or names in the family; ``*`` stands for a text. Empty: the family has no place for ``ours``.
        ours: Name or names of ours, with as many stars. Empty: we have no use for ``theirs``.
        change: What happens to the values; for a rule with an empty side its words are the reason.
        loses: For a rule with an empty side: the tensor says something that is lost (an index buffer says nothing).
    """

    theirs: str | Names
    ours: str | Names
    change: Change = SAME
    loses: bool = False


@dataclass(frozen=True)
class Step:
    """What was done with some tensors of a state dict."""

    sources: Names
    targets: Names
    words: str = ''
    loses: bool = False
    reversible: bool = True


@dataclass
class Applied:
    """A state dict after rules.

    Attributes:
        state: The new names.
        steps: How each came about, and what was left out with which reason.
        left: Old names that no rule took.
    """

    state: State = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def apply_rules(rules: Sequence[Rule], state: Mapping[str, Tensor], writing: bool = False) -> Applied:
    """Translate a state dict.

    Args:
        rules: In order; each tensor goes to the first that fits.
        state: Their names, or ours when ``writing``.
        writing: From ours to theirs.
    """
    made, taken = [], set()
    for rule in rules:
        sources, targets = _tuple(rule.theirs), _tuple(rule.ours)
        function = rule.change.read
        if writing:
            sources, targets, function = targets, sources, rule.change.write
        if not sources or function is None:
            continue
        pattern = re.compile(re.escape(sources[0]).replace(r'\*', '(.+)'))
        for match in [match for name in state if name not in taken and (match := pattern.fullmatch(name))]:
            names = tuple(_filled(source, match.groups()) for source in sources)
            if any(name not in state or name in taken for name in names):
                continue
            new_names = tuple(_filled(target, match.groups()) for target in targets)
            values = function(*(state[name] for name in names)) if targets else ()
            if values is None:
                continue
            values = (values,) if isinstance(values, Tensor) else values
            made.append((Step(names, new_names, rule.change.words, rule.loses, rule.change.reversible), values))
            taken.update(names)
    return _in_order(made, list(state), [name for name in state if name not in taken])


def _in_order(made: Sequence[tuple[Step, Sequence[Tensor]]], names: Sequence[str], left: list[str]) -> Applied:
    """Steps in the order of the old names, which is that of the file, and what they give.

    Raises:
        CheckpointError: Two tensors would have one name.
    """
    position = {name: i for i, name in enumerate(names)}
    applied = Applied(left=left)
    for step, values in sorted(made, key=lambda entry: position[entry[0].sources[0]]):
        if twice := applied.state.keys() & set(step.targets):
            raise CheckpointError(
                f'{", ".join(step.sources)} and another tensor would both be {", ".join(sorted(twice))}; '
                'the file has one thing under two names, of which only one can be meant.'
            )
        applied.state |= zip(step.targets, values, strict=True)
        applied.steps.append(step)
    return applied


def pairs(table: Sequence[tuple[str, str]]) -> tuple[Rule, ...]:
    """Rules of a table of (theirs, ours) that changes names only."""
    return tuple(Rule(theirs, ours) for theirs, ours in table)


def under(rules: Sequence[Rule], theirs: str = '', ours: str = 'backbone.') -> tuple[Rule, ...]:
    """Rules for names that stand below prefixes."""
    return tuple(
        Rule(
            tuple(theirs + name for name in _tuple(rule.theirs)),
            tuple(ours + name for name in _tuple(rule.ours)),
            rule.change,
            rule.loses,
        )
        for rule in rules
    )


class Format:
    """A family of checkpoints; see the head of this module.

    Attributes:
        name: For ``--from`` and ``--to``.
        title: What it is, in words.
        aliases: Other names of it.
        limits: What it cannot express, in words, for the documentation.
        parity: What its outputs were compared with, in words, for the documentation; 'names only': with nothing.
        compared_by: Whose class computes :meth:`outputs`, where it is another's.
        writable: Whether anything can be converted to it.
        holds_pair: Whether a file may hold two networks, student and teacher. If not, one is chosen before writing.
    """

    name: str = ''
    title: str = ''
    aliases: Names = ()
    limits: str = ''
    parity: str = 'its own classes, with random weights'
    compared_by: str = ''
    writable: bool = True
    holds_pair: bool = False

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Whether flat names (without ``module.``) are those of this family."""
        raise NotImplementedError

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """The table for this state dict.

        Args:
            state: Their names, or ours when ``writing``; tells depth, prefix and the like.
            writing: Which way the table will be read.

        Raises:
            CheckpointError: The family has no class for such a network, or we have none; the reason is named.
        """
        raise NotImplementedError

    def recognises_folder(self, path: Path) -> bool:
        """Whether a folder is a checkpoint of this family."""
        return False

    def load(self, path: Path) -> dict[str, Any]:
        """What is in a file (or folder): a dict with the flat tensors as ``state_dict``, or nested as in the file."""
        return read_checkpoint(path)

    def save(self, state: State, path: Path, meta: Mapping[str, str]) -> None:
        """Write a state dict in this family's names.

        Args:
            state: As the rules gave it.
            path: Ends in ``.pth`` or ``.safetensors``.
            meta: Table of strings: ``format``, ``mim_plugin`` (version) and ``backbone`` (our settings of it, JSON).
        """
        from mim_plugin.checkpoints.export import write_state  # it reads, too, through this package

        write_state(self.nested(state), path, meta)

    def nested(self, state: State) -> dict[str, Any]:
        """The dict that a file of this family holds."""
        return {'state_dict': state}

    def with_training_state(self, checkpoint: dict[str, Any], entries: Mapping[str, Any]) -> dict[str, Any]:
        """The dict of a file that carries the optimizer and the like of the file that it comes from."""
        return {**checkpoint, 'training_state': dict(entries)}

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """Patch tokens (B, N, D) of the family's own class after its final norm, for ``convert(verify=True)``.

        Args:
            state: In this family's names.
            config: Settings of our backbone with the same architecture.
            images: (B, C, H, W).

        Raises:
            ImportError: Its package is not installed.
            NotImplementedError: There is no class to compare with.
        """
        raise NotImplementedError(f'there is no class of {self.title} to compare with')


def _tuple(names: str | Names) -> Names:
    return (names,) if isinstance(names, str) else tuple(names)


def _filled(pattern: str, texts: Sequence[str]) -> str:
    for text in texts:
        pattern = pattern.replace('*', text, 1)
    if '*' in pattern:
        raise CheckpointError(f'A rule has more stars in {pattern!r} than in its partner.')
    return pattern
