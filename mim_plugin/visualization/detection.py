"""Detection: objects with boxes and masks on images, ground truth and predictions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from mim_plugin.visualization.style import class_colors, draw_picture, new_figure

__all__ = ['Objects', 'draw_detections']

OPACITY = 0.45  # of a mask on its image
PANEL = 2.2  # width in inches
SCORE_SIZE = 6  # of the text, in points


@dataclass(frozen=True)
class Objects:
    """The objects of an image.

    Attributes:
        boxes: ``(N, 4)`` left, top, right, bottom in pixels.
        labels: ``(N,)`` class numbers.
        masks: ``(N, H, W)`` bool.
        scores: ``(N,)`` in [0, 1]; None for ground truth.
    """

    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    scores: np.ndarray | None = None


def draw_detections(
    images: Sequence[np.ndarray], columns: Mapping[str, Sequence[Objects]], class_names: Sequence[str]
) -> Figure:
    """Draws a row for each image: the image, then a column for each named set of objects.

    Args:
        images: Pixels, ``(H, W, 3)`` uint8 each.
        columns: Name of a column, such as of a model -> objects of each image.
        class_names: Names in the order of the labels.

    Returns:
        The figure, with a legend of the classes.
    """
    aspects = [image.shape[0] / image.shape[1] for image in images]
    figure, axes = new_figure(len(images), 1 + len(columns), panel=PANEL, title_space=0.4, aspect=aspects)
    colors = class_colors(len(class_names))
    for row, image in enumerate(images):
        draw_picture(axes[row, 0], image, '' if row else 'image')
        for column, (name, objects) in enumerate(columns.items(), start=1):
            draw_picture(axes[row, column], _paint(image, objects[row], colors), '' if row else name)
            _outline(axes[row, column], objects[row], colors)
    handles = [Patch(color=np.asarray(color) / 255, label=name) for name, color in zip(class_names, colors)]
    figure.legend(handles=handles, loc='outside lower center', ncols=5, fontsize=8, frameon=False)
    return figure


def _paint(image: np.ndarray, objects: Objects, colors: Sequence[tuple[int, int, int]]) -> np.ndarray:
    painted = image.astype(np.float32)
    for label, mask in zip(objects.labels, objects.masks, strict=True):
        painted[mask] = (1 - OPACITY) * painted[mask] + OPACITY * np.asarray(colors[label])
    return painted.astype(np.uint8)


def _outline(axes: Axes, objects: Objects, colors: Sequence[tuple[int, int, int]]) -> None:
    width = axes.get_xlim()[1]
    line = 1.6 * SCORE_SIZE / 72 / PANEL * width  # height of a score in pixels of the image
    for i, (left, top, right, bottom) in enumerate(objects.boxes):
        color = np.asarray(colors[objects.labels[i]]) / 255
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=color, linewidth=1.5))
        if objects.scores is not None:
            # Above the box, where there is room; at the edges of the image inside of it.
            va = 'bottom' if top > line else 'top'
            x, ha = (left, 'left') if left < width - 2 * line else (width, 'right')
            axes.text(x, max(top, 0.0), f'{objects.scores[i]:.2f}', fontsize=SCORE_SIZE, ha=ha, va=va, clip_on=True,
                      bbox=dict(color=color, pad=0.6))  # fmt: skip
