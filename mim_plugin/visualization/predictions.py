"""What codes keep of an image, and what a model guesses for hidden patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mim_plugin.visualization.style import draw_picture, new_figure
from mim_plugin.visualization.views import hide_patches

__all__ = ['draw_predictions']


def draw_predictions(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    decoded: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    notes: Sequence[str] = (),
    title: str = '',
) -> Figure:
    """Draws a row an image: the image, the hidden patches, the image from its codes, and with predicted codes.

    Args:
        images: Pixels of each view, ``(H, W, 3)`` uint8.
        masks: Hidden patches of each view, ``(h, w)`` bool.
        decoded: Pictures of the true codes, ``(H', W', 3)`` uint8.
        predicted: The same with the predicted codes in the hidden patches.
        notes: A line of text for each row, such as how many patches were right.
        title: Text above the figure.

    Returns:
        The figure.
    """
    aspect = images[0].shape[0] / images[0].shape[1]
    figure, axes = new_figure(len(images), 4, panel=2.2, title_space=0.35 if title else 0.0, aspect=aspect)
    names = ('image', 'what the model sees', 'decoded: codes of the image', 'decoded: hidden patches predicted')
    for row, (image, mask, true, guess) in enumerate(zip(images, masks, decoded, predicted, strict=True)):
        pictures = (image, hide_patches(image, mask), true, guess)
        for column, picture in enumerate(pictures):
            lines = [names[column]] if row == 0 else []
            if column == 3 and notes:
                lines.append(notes[row])
            draw_picture(axes[row, column], picture, lines)
        _outline(axes[row, 3], mask, guess.shape)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def _outline(axes: Axes, mask: np.ndarray, shape: tuple[int, ...]) -> None:
    """A thin line around the hidden patches of a picture of ``shape``."""
    from matplotlib.collections import LineCollection

    padded = np.pad(mask, 1)
    # A border is where neighbours differ: below each other (ends: left, right), beside each other (ends: top, bottom).
    rows, columns = np.nonzero(padded[1:] != padded[:-1])
    across = np.stack([np.stack([columns - 1, rows], 1), np.stack([columns, rows], 1)], 1)
    rows, columns = np.nonzero(padded[:, 1:] != padded[:, :-1])
    down = np.stack([np.stack([columns, rows - 1], 1), np.stack([columns, rows], 1)], 1)
    cell = np.array([shape[1] / mask.shape[1], shape[0] / mask.shape[0]])
    lines = np.concatenate([across, down]) * cell - 0.5
    for color, width in (('white', 2.2), ('black', 0.9)):
        axes.add_collection(LineCollection(lines, colors=color, linewidths=width, capstyle='projecting'))
