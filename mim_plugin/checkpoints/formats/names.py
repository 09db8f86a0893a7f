"""Tables of names."""

from __future__ import annotations

import re

__all__ = ['rename']


def rename(name: str, table: tuple[tuple[str, str], ...], backwards: bool = False) -> str | None:
    """The partner of a name in a table, or None when the table does not know it.

    Args:
        name: A name.
        table: Pairs of names; `*` stands for the same text on both sides. The first row that fits counts.
        backwards: Read the rows from right to left.
    """
    for pair in table:
        source, target = reversed(pair) if backwards else pair
        pattern = re.escape(source).replace(r'\*', '(.+)')
        if match := re.fullmatch(pattern, name):
            for text in match.groups():
                target = target.replace('*', text, 1)
            return target
    return None
