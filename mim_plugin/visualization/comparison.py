"""Figures of several methods side by side: means, single runs, baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mim_plugin.visualization.style import HEAD_COLORS

__all__ = ['draw_comparison']

LINES = ('-', '--', ':', '-.')


def draw_comparison(
    panels: Mapping[str, Mapping[str, Sequence[float]]], baselines: Mapping[str, Mapping[str, float]], title: str
) -> Figure:
    """Draws one panel a figure of merit: a bar for the mean of each method, a point for each of its runs.

    Args:
        panels: Name of a panel -> name of a method -> values of its runs, in percent. The methods are those of
            the first panel, from top to bottom.
        baselines: Name of a panel -> name of a baseline -> value, drawn as a line across.
        title: Text above all.

    Returns:
        The figure.
    """
    methods = list(next(iter(panels.values())))
    height = 1.7 + 0.36 * len(methods)
    figure = Figure(figsize=(4.4 * len(panels) + 1.4, height), dpi=110, layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, (name, values) in zip(axes, panels.items(), strict=True):
        _draw_panel(panel, [values[method] for method in methods], baselines.get(name, {}))
        panel.set_title(name, fontsize=9)
    axes[0].set_yticks(range(len(methods)), methods, fontsize=8)
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=5, fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=9)
    return figure


def _draw_panel(axes: Axes, runs: Sequence[Sequence[float]], baselines: Mapping[str, float]) -> None:
    color, dark = HEAD_COLORS[1] / 255, HEAD_COLORS[4] / 255
    axes.barh(range(len(runs)), [np.mean(values) for values in runs], height=0.6, color=color, label='mean')
    for place, values in enumerate(runs):
        spread = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0.0]
        label = 'one seed' if place == 0 else None
        axes.scatter(values, place + np.asarray(spread), s=14, color=[dark], edgecolor='white', linewidth=0.5,
                     zorder=3, label=label)  # fmt: skip
        axes.annotate(f'{np.mean(values):.1f}', (max(values), place), (5, 0), textcoords='offset points',
                      va='center', fontsize=8, bbox=dict(color='white', alpha=0.8, pad=0.5))  # fmt: skip
    for line, (name, value) in zip(LINES, baselines.items(), strict=False):
        axes.axvline(value, color='black', linestyle=line, linewidth=1, label=name)
    largest = max([*(max(values) for values in runs), *baselines.values()])
    axes.set_xlim(0, 1.12 * largest)
    axes.set_xlabel('percent of the test images', fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis='x', alpha=0.25)
