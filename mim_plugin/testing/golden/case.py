"""A reference case on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mim_plugin.checkpoints import read_checkpoint
from mim_plugin.errors import DataError

__all__ = ['Answers', 'Case', 'Quantity', 'find_cases', 'load_case']


@dataclass
class Quantity:
    """A stored value and how far ours may be from it."""

    value: Tensor
    atol: float
    rtol: float


@dataclass
class Case:
    """Content of a case folder.

    Attributes:
        name: Name of the folder.
        kind: Which computation it checks.
        settings: Numbers that the computation needs.
        weights: State dicts under their original names, by group.
        inputs: Input tensors.
        outputs: Stored quantities.
        expected: Exact facts: names, groups, scalars.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    weights: dict[str, dict[str, Tensor]]
    inputs: dict[str, Tensor]
    outputs: dict[str, Quantity]
    expected: dict[str, Any]


@dataclass
class Answers:
    """What a handler computed.

    Attributes:
        outputs: Tensors or numbers under the names of the stored outputs. May hold more.
        facts: Values under the keys of ``expected``; a function is asked whether the stored value is right.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def load_case(folder: str | Path) -> Case:
    """Read a case folder through the checkpoint reader of the package."""
    folder = Path(folder)
    description = json.loads((folder / 'case.json').read_text(encoding='utf-8'))
    tensors = read_checkpoint(folder / 'tensors.safetensors')['state_dict']
    outputs = {
        name: Quantity(tensors[name], float(spec['atol']), float(spec['rtol']))
        for name, spec in description['outputs'].items()
    }
    return Case(
        name=folder.name,
        kind=description['kind'],
        settings=description['settings'],
        weights={group: _below(tensors, prefix) for group, prefix in description.get('weights', {}).items()},
        inputs={name.removeprefix('inputs/'): tensors[name] for name in description['inputs']},
        outputs=_below(outputs, 'outputs/'),
        expected=description.get('expected', {}),
    )


def find_cases(paths: Iterable[str | Path]) -> list[Path]:
    """Case folders among paths: each is a case, or a folder of cases.

    Raises:
        DataError: A path is neither.
    """
    folders = []
    for path in map(Path, paths):
        found = [path] if (path / 'case.json').is_file() else sorted(p.parent for p in path.glob('*/case.json'))
        if not found:
            raise DataError(f'{path} is neither a golden case nor a folder of them: there is no case.json.')
        folders += found
    return folders


def _below(items: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in items.items() if name.startswith(prefix)}
