"""What a check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ['Finding', 'Report', 'counted']

_SHOWN = 5


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number with its noun: '1 mask', '2 masks'; ``several`` where the plural is irregular."""
    return f'{number} {one if number == 1 else several or one + "s"}'


@dataclass
class Finding:
    """One kind of trouble and where it is.

    Attributes:
        what: What is wrong, in the plural.
        names: Each file or object that is concerned, with the value that is wrong.
        remedy: What to do about it; may be empty for a note.
        is_note: Harmless: training copes with it.
    """

    what: str
    names: list[str]
    remedy: str = ''
    is_note: bool = False

    def __str__(self) -> str:
        more = f' and {len(self.names) - _SHOWN} more' if len(self.names) > _SHOWN else ''
        text = f'{self.what} ({len(self.names)}): {", ".join(self.names[:_SHOWN])}{more}'
        return f'{text}; {self.remedy}.' if self.remedy else f'{text}.'


@dataclass
class Report:
    """All that a check found. ``str()`` gives a line for each count and finding.

    Attributes:
        counts: Sentences about what is there.
        findings: In the order in which they were found.
    """

    counts: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, what: str, names: Iterable[str], remedy: str = '', is_note: bool = False) -> None:
        """Take up a finding, unless it concerns nothing."""
        if names := list(names):
            self.findings.append(Finding(what, names, remedy, is_note))

    @property
    def problems(self) -> list[Finding]:
        """The findings that spoil a training or its figures."""
        return [finding for finding in self.findings if not finding.is_note]

    def __str__(self) -> str:
        lines = list(self.counts)
        lines += [f'{"note" if finding.is_note else "PROBLEM"}: {finding}' for finding in self.findings]
        kinds = len(self.problems)
        lines.append(f'Kinds of problems: {kinds}.' if kinds else 'No problem found.')
        return '\n'.join(lines)
