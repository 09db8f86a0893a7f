"""The views of one image: its crops, and the patches hidden from the student."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mim_plugin.errors import DataError
from mim_plugin.visualization.style import draw_picture, new_figure

__all__ = ['draw_views', 'hide_patches']

HIDDEN_COLOR = (86, 180, 233)


def hide_patches(crop: np.ndarray, mask: np.ndarray, color: tuple[int, int, int] = HIDDEN_COLOR) -> np.ndarray:
    """Paints the hidden patches of a crop in one colour.

    Args:
        crop: Pixels, ``(H, W, 3)`` uint8.
        mask: True where a patch is hidden, ``(h, w)`` bool; must divide ``(H, W)``.
        color: RGB.

    Returns:
        A new picture ``(H, W, 3)`` uint8.

    Raises:
        DataError: If the mask's grid does not divide the crop.
    """
    height, width = crop.shape[:2]
    rows, columns = mask.shape
    if height % rows or width % columns:
        raise DataError(
            f'A mask of {rows} x {columns} patches does not divide a crop of {height} x {width} pixels: '
            f'give a mask whose grid divides the crop.'
        )
    pixels = mask.repeat(height // rows, axis=0).repeat(width // columns, axis=1)
    return np.where(pixels[..., None], np.array(color, dtype=np.uint8), crop)


def draw_views(
    image: np.ndarray,
    global_crops: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    local_crops: Sequence[np.ndarray] = (),
    tokenizer: str = 'teacher',
) -> Figure:
    """Draws what pretraining makes of one image.

    Upper row: the image and its global crops (the tokenizer sees these). Lower row: the same crops with the
    hidden patches painted blue (the student sees these), then the local crops.

    Args:
        image: The image as read, ``(H, W, 3)`` uint8.
        global_crops: Pixels of each global crop, ``(S, S, 3)`` uint8.
        masks: One mask for each global crop, ``(h, w)`` bool, True = hidden.
        local_crops: Pixels of each local crop, ``(s, s, 3)`` uint8.
        tokenizer: What says what is to be predicted: 'teacher' (iBOT, DINO), or 'tokenizer'.

    Returns:
        The figure.
    """
    count = len(global_crops)
    columns = 1 + count + len(local_crops)
    figure, axes = new_figure(2, columns)
    for panel in axes.ravel():
        panel.set_axis_off()
    draw_picture(axes[0, 0], image, ('image', _size(image)))
    note = f'The student sees these.\nIt predicts what the\n{tokenizer} says of the\nblue patches.'
    axes[1, 0].text(0.5, 0.5, note, ha='center', va='center', fontsize=8, transform=axes[1, 0].transAxes)
    for i, (crop, mask) in enumerate(zip(global_crops, masks, strict=True)):
        draw_picture(axes[0, 1 + i], crop, (f'global crop {i + 1}, for the {tokenizer}', _size(crop)))
        hidden = f'{int(mask.sum())} of {mask.size} patches hidden'
        draw_picture(axes[1, 1 + i], hide_patches(crop, mask), (f'global crop {i + 1}, for the student', hidden))
    for i, crop in enumerate(local_crops):
        draw_picture(axes[1, 1 + count + i], crop, (f'local crop {i + 1}, for the student', _size(crop)))
    return figure


def _size(picture: np.ndarray) -> str:
    return f'{picture.shape[0]} x {picture.shape[1]} pixels'
