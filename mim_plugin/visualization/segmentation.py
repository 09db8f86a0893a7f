"""Segmentation: the image, the ground truth and predictions side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mim_plugin.errors import DataError
from mim_plugin.visualization.style import IGNORED_COLOR, draw_picture, new_figure

__all__ = ['color_labels', 'draw_segmentation']


def color_labels(labels: np.ndarray, palette: Sequence[Sequence[int]], ignore_index: int = 255) -> np.ndarray:
    """Turns class indices into colours.

    Args:
        labels: Class of every pixel, ``(H, W)`` integers.
        palette: RGB of every class.
        ignore_index: Label without a class; drawn in dark grey.

    Returns:
        Pixels ``(H, W, 3)`` uint8.

    Raises:
        DataError: If a label is neither a class nor ``ignore_index``.
    """
    table = np.full((256, 3), -1, dtype=np.int16)
    table[: len(palette)] = np.asarray(palette)
    table[ignore_index] = IGNORED_COLOR
    colors = table[labels]
    if colors.min(initial=0) < 0:
        raise DataError(
            f'Label {int(labels[colors[..., 0] < 0].max())} has no colour: there are {len(palette)} classes '
            f'and {ignore_index} is ignored; check the masks or the class list.'
        )
    return colors.astype(np.uint8)


def draw_segmentation(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    class_names: Sequence[str],
    palette: Sequence[Sequence[int]],
    ignore_index: int = 255,
) -> Figure:
    """Draws a row for each image: image, ground truth, then one column for each named prediction.

    Args:
        images: Pixels, ``(H, W, 3)`` uint8 each.
        truths: Class of every pixel, ``(H, W)``.
        predictions: Name of a model -> class of every pixel of each image.
        class_names: Names in the order of the labels.
        palette: RGB of every class.
        ignore_index: Label of pixels that do not count.

    Returns:
        The figure, with a legend of the classes.
    """
    columns = 2 + len(predictions)
    figure, axes = new_figure(len(images), columns, title_space=0.5, aspect=truths[0].shape[0] / truths[0].shape[1])
    for row, (image, truth) in enumerate(zip(images, truths, strict=True)):
        draw_picture(axes[row, 0], image, '' if row else 'image')
        draw_picture(axes[row, 1], color_labels(truth, palette, ignore_index), '' if row else 'ground truth')
        for column, (name, labels) in enumerate(predictions.items(), start=2):
            counted = truth != ignore_index
            right = 100 * float((labels[row] == truth)[counted].mean()) if counted.any() else 0.0
            text = f'{right:.0f} % of pixels right'
            draw_picture(axes[row, column], color_labels(labels[row], palette), text if row else f'{name}\n{text}')
    colors = zip(class_names, palette, strict=True)
    handles = [Patch(color=np.asarray(color) / 255, label=name) for name, color in colors]
    if any((truth == ignore_index).any() for truth in truths):
        handles.append(Patch(color=np.asarray(IGNORED_COLOR) / 255, label='not counted'))
    figure.legend(
        handles=handles, loc='outside lower center', ncols=min(2 * columns - 1, len(handles)), fontsize=8, frameon=False
    )
    return figure
