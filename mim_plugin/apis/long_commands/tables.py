"""Tables in Markdown, and what is written into them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

__all__ = ['markdown', 'spread']


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table.

    Args:
        header: Names of the columns.
        rows: Their cells.
        left: Number of columns, from the first on, that are aligned to the left; the others are to the right.
    """
    lines = [header, [*['---'] * left, *['---:'] * (len(header) - left)], *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def spread(values: Sequence[float]) -> str:
    """Mean and, of several values, their sample deviation."""
    return f'{mean(values):.1f}' + (f' ± {stdev(values):.1f}' if len(values) > 1 else '')
