"""Curves of a training run, from the scalars that mmengine writes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ['draw_curves', 'read_scalars']

Curve = tuple[Sequence[float], Sequence[float]]


def read_scalars(folder: str | Path) -> dict[str, Curve]:
    """Reads what a Runner logged under its work folder, all parts of a resumed run together.

    Args:
        folder: ``work_dir`` of the Runner (searched for ``vis_data/scalars.json``).

    Returns:
        Name of a scalar -> (iterations, values). An iteration that was logged twice (after a resume) keeps the
        later value. Empty when nothing was logged.
    """
    curves: dict[str, dict[int, float]] = {}
    for path in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        for line in path.read_text(encoding='utf-8').splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue  # A run that was killed may leave half a line.
            step = record.get('step')
            for name, value in record.items():
                if step is not None and isinstance(value, int | float) and name not in ('step', 'epoch', 'iter'):
                    curves.setdefault(name, {})[int(step)] = float(value)
    return {name: tuple(zip(*sorted(values.items()), strict=True)) for name, values in curves.items()}


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Running mean which shortens its window at both ends."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    index = np.arange(len(values))
    low, high = np.maximum(0, index - window // 2), np.minimum(len(values), index + window // 2 + 1)
    return (sums[high] - sums[low]) / (high - low)


def _draw_panel(axes: Axes, curves: Mapping[str, Curve], title: str) -> None:
    for name, (steps, values) in curves.items():
        steps, values = np.asarray(steps), np.asarray(values, dtype=float)
        smooth = len(values) > 30
        (line,) = axes.plot(steps, values, linewidth=0.8 if smooth else 1.5, alpha=0.35 if smooth else 1.0)
        if smooth:
            axes.plot(steps, _smooth(values, len(values) // 15), color=line.get_color(), linewidth=1.6, label=name)
        else:
            line.set_label(name)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel('training step', fontsize=8)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.grid(alpha=0.25)
    if len(curves) > 1:
        axes.legend(fontsize=8, frameon=False)


def draw_curves(panels: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draws one panel for each title, each with one or more curves over the training steps.

    Args:
        panels: Title -> name of a curve -> (steps, values).

    Returns:
        The figure. Long curves are drawn thin, with their running mean on top.
    """
    figure = Figure(figsize=(3.6 * len(panels), 2.8), dpi=110, layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        _draw_panel(panel, curves, title)
    return figure
