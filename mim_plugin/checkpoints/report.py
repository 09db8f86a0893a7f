"""What a conversion did with each tensor, as a table and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor

from mim_plugin.checkpoints.export import unfinished_file
from mim_plugin.checkpoints.formats.base import Step

__all__ = ['ConversionReport', 'Row', 'rows_of']

Names = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One tensor, or some that belong together.

    Attributes:
        source: Names in the source; empty for a tensor that was computed.
        shape: Shapes of these.
        ours: Our names on the way.
        target: Names in the target; empty for what is not in it.
        target_shape: Shapes of these.
        change: What was done, or why it was left out; empty: the values are the same.
        state: 'converted', 'derived' (left out, nothing is lost) or 'lost'.
        reversible: Whether converting back gives the same tensors.
    """

    source: Names
    shape: tuple[Names, ...]
    ours: Names
    target: Names
    target_shape: tuple[Names, ...]
    change: str
    state: str
    reversible: bool = True


@dataclass
class ConversionReport:
    """What :func:`mim_plugin.checkpoints.convert` did. ``str()`` gives the table.

    Attributes:
        source: File.
        target: File or folder that was written.
        from_format: Family of the source.
        to_format: Family of the target.
        rows: See :class:`Row`.
        missing: Names of the target that nothing fills.
        training_state: Entries of the file besides tensors (optimizer, epoch, ...).
        carried: Whether they are in the target.
        verified: What was compared, with the largest difference; empty when nothing was.
        geometry: What was changed besides names.
    """

    source: str
    target: str
    from_format: str
    to_format: str
    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    training_state: list[str] = field(default_factory=list)
    carried: bool = False
    verified: list[str] = field(default_factory=list)
    geometry: str = ''

    @property
    def lost(self) -> list[str]:
        """Names of the source that say something and are not in the target."""
        return [name for row in self.rows if row.state == 'lost' for name in row.source]

    @property
    def kind(self) -> str:
        """In a word: how much of the source is in the target.

        'changed' (other sizes were asked for), 'lossy', 'same outputs' (values were merged, added or dropped, and do
        not come back) or 'lossless'.
        """
        if self.geometry:
            return 'changed'
        if self.lost or self.missing:
            return 'lossy'
        return 'lossless' if all(row.reversible for row in self.rows) else 'same outputs'

    def to_json(self) -> str:
        """Every row and the summary."""
        return json.dumps({'kind': self.kind, 'lost': self.lost, **asdict(self)}, indent=1)

    def save(self, path: str | Path) -> None:
        """Write :meth:`to_json` to a file."""
        path = Path(path).expanduser()
        with unfinished_file(path) as unfinished:
            unfinished.write_text(self.to_json() + '\n', encoding='utf-8')
            unfinished.replace(path)

    def __str__(self) -> str:
        kind = self.kind + (f' ({self.geometry})' if self.geometry else '')
        lines = [f'{self.source} ({self.from_format}) -> {self.target} ({self.to_format}): {kind}', '']
        lines += _table(_grouped(self.rows))
        counts = {state: sum(len(row.source) for row in self.rows if row.state == state) for state in _STATES}
        written = {name for row in self.rows for name in row.target}
        lines += ['', f'{counts["converted"]} tensors converted to {len(written)}, {counts["derived"]} left out that '
                      f'follow from others, {counts["lost"]} lost.']  # fmt: skip
        if self.missing:
            lines.append(f'Missing in the target: {", ".join(self.missing)}.')
        if self.training_state:
            lines.append(f'Training state ({", ".join(self.training_state)}): {"" if self.carried else "not "}carried.')
        return '\n'.join(lines + [f'Verified: {line}.' for line in self.verified])


_STATES = ('converted', 'derived', 'lost')


def rows_of(
    stages: Sequence[Sequence[Step]],
    last: Sequence[Step],
    source: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
) -> list[Row]:
    """Join the steps of a conversion over our names.

    Args:
        stages: From the source to our names, and among these.
        last: From our names to the target.
        source: Tensors before.
        target: Tensors after.
    """
    rows = []

    def add(step: Step, origin: Mapping[str, Step]) -> None:
        whole = _joined(step, origin)
        state = 'converted' if step.targets else 'lost' if step.loses else 'derived'
        shapes, target_shapes = (
            tuple(tuple(tensors[name].shape) for name in names)
            for names, tensors in ((whole.sources, source), (step.targets, target))
        )
        words = whole.words if step.targets else step.words
        names = whole.sources, shapes, step.sources, step.targets, target_shapes
        rows.append(Row(*names, words, state, whole.reversible))

    origin = {name: Step((name,), (name,)) for name in source}
    for stage in stages:
        moved: dict[str, Step] = {}
        for step in stage:
            if step.targets:
                moved |= dict.fromkeys(step.targets, _joined(step, origin))
            else:
                add(step, origin)
        origin = moved
    for step in last:
        add(step, origin)
    return _gathered(rows)


def _gathered(rows: Sequence[Row]) -> list[Row]:
    """One row for all that was made of the same tensors, so that each of these is in one row."""
    gathered: dict[object, Row] = {}
    for i, row in enumerate(rows):
        key = (row.source, row.state) if row.source else i
        if (first := gathered.get(key)) is not None:
            words = '; '.join(dict.fromkeys(filter(None, (first.change, row.change))))
            pairs = ((getattr(first, part), getattr(row, part)) for part in ('ours', 'target', 'target_shape'))
            ours, target, shapes = (one + other for one, other in pairs)
            reversible = first.reversible and row.reversible
            row = Row(row.source, row.shape, tuple(dict.fromkeys(ours)), target, shapes, words, row.state, reversible)
        gathered[key] = row
    return list(gathered.values())


def _joined(step: Step, origin: Mapping[str, Step]) -> Step:
    """A step together with those that made its tensors."""
    known = [origin[name] for name in step.sources if name in origin]
    names = tuple(dict.fromkeys(name for before in known for name in before.sources))
    words = '; '.join(word for word in dict.fromkeys([*(before.words for before in known), step.words]) if word)
    return Step(names, step.targets, words, False, step.reversible and all(before.reversible for before in known))


def _grouped(rows: Sequence[Row]) -> list[tuple[str, str, str, str]]:
    """One line for the rows that differ in the number of a block only: names, shape, target, change."""
    groups: dict[tuple[str, ...], int] = {}
    for row in rows:
        names = [_starred(', '.join(part)) for part in (row.source, row.target)]
        shape = ', '.join('x'.join(map(str, shape)) or 'number' for shape in row.shape)
        change = row.change if row.state == 'converted' else f'{row.state}: {row.change}'
        key = (names[0] or '(computed)', shape, names[1] or '-', change)
        groups[key] = groups.get(key, 0) + 1
    return [(key[0] + (f'  (x{n})' if n > 1 else ''), *key[1:]) for key, n in groups.items()]


def _starred(text: str) -> str:
    """Names with the numbers of blocks replaced; long lists are cut."""
    text = re.sub(r'(?<!ffn\.)\b(layers|blocks|layer|stages)\.(\d+)\.', r'\1.*.', text)
    parts = list(dict.fromkeys(text.split(', ')))
    return ', '.join(parts[:3]) + (f' and {len(parts) - 3} more' if len(parts) > 3 else '')


def _table(lines: Sequence[tuple[str, ...]]) -> list[str]:
    heads = ('source', 'shape', 'target', 'change')
    widths = [max(len(line[i]) for line in (heads, *lines)) for i in range(3)]
    return ['  '.join([*(text.ljust(width) for text, width in zip(line, widths)), line[3]]).rstrip()
            for line in (heads, *lines)]  # fmt: skip
