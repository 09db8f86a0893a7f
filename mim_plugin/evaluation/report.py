"""Figures of a network beside those that need no network, for people to read."""

from __future__ import annotations

from collections.abc import Mapping

_ROWS = {'': 'network', 'thumbnail_': '16 x 16 thumbnails', 'majority_': 'most frequent class'}


def format_figures(figures: Mapping[str, float]) -> str:
    """A table with one row for the network and each baseline, one column a figure.

    Args:
        figures: Names as :class:`FrozenFeatureMetric` gives them, without prefix; a deviation
            ``*_std`` is shown behind its mean.
    """
    rows: dict[str, dict[str, str]] = {}
    for key, value in figures.items():
        if not key.endswith('_std'):
            start = next((start for start in _ROWS if start and key.startswith(start)), '')
            deviation = figures.get(f'{key}_std')
            shown = f'{value:.2f}' if deviation is None else f'{value:.2f} +- {deviation:.2f}'
            rows.setdefault(start, {})[key.removeprefix(start)] = shown
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = [
        ['', *columns],
        *([_ROWS[start], *(row.get(name, '-') for name in columns)] for start, row in rows.items()),
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ('  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True)) for row in table)
    return '\n'.join(line.rstrip() for line in lines)
