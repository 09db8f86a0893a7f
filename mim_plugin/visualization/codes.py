"""What is left of pictures after they went through codes, and how often each code occurs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mim_plugin.visualization.style import draw_picture, new_figure

__all__ = ['draw_code_usage', 'draw_reconstructions']


def draw_reconstructions(images: Sequence[np.ndarray], decoded: Sequence[np.ndarray], title: str = '') -> Figure:
    """Draws each image above what was decoded from its codes.

    Args:
        images: Pixels, ``(H, W, 3)`` uint8 each.
        decoded: The same for the reconstructions.
        title: Text above the figure.

    Returns:
        The figure.
    """
    height, width = images[0].shape[:2]
    figure, axes = new_figure(2, len(images), panel=1.0, title_space=0.3, aspect=height / width)
    for column, pair in enumerate(zip(images, decoded, strict=True)):
        for row, picture in enumerate(pair):
            label = ('images', 'from their codes')[row] if column == 0 else ''
            draw_picture(axes[row, column], picture, label, interpolation='nearest')
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def draw_code_usage(counts: np.ndarray, title: str = '') -> Figure:
    """Draws how often each code occurs, the most frequent code first.

    Args:
        counts: Occurrences of each code, ``(K,)``.
        title: Text above the figure.

    Returns:
        The figure; the line marks what each code would have if all were equally frequent.
    """
    ranked = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
    total, used = ranked.sum(), int((ranked > 0).sum())
    figure = Figure(figsize=(4.6, 2.6), dpi=110, layout='constrained')
    axes = figure.subplots()
    axes.bar(np.arange(1, len(ranked) + 1), 100 * ranked / max(total, 1), width=1.0, color='#0072b2')
    axes.axhline(100 / len(ranked), color='#d55e00', linewidth=1.2, label='all codes equally often')
    axes.set_xlim(0.5, len(ranked) + 0.5)
    axes.set_xlabel('codes, from frequent to rare', fontsize=8)
    axes.set_ylabel('share of all patches (%)', fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    note = f'{used} of {len(ranked)} codes occur in {int(total):,} patches'
    axes.set_title(f'{title}: {note}' if title else note, fontsize=9)
    return figure
