"""What all figures share: colours, text sizes, picture panels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ['HEAD_COLORS', 'IGNORED_COLOR', 'class_colors', 'draw_picture', 'new_figure']

# Okabe and Ito's colours: apart for every common kind of colour blindness.
HEAD_COLORS = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)],
    dtype=np.uint8,
)
IGNORED_COLOR = (60, 60, 60)


def class_colors(count: int) -> list[tuple[int, int, int]]:
    """Returns ``count`` distinct RGB colours: the fixed ones first, then hues spread by the golden ratio.

    Args:
        count: Number of classes.

    Returns:
        RGB triples in 0..255.
    """
    from matplotlib.colors import hsv_to_rgb

    colors = [tuple(int(channel) for channel in color) for color in HEAD_COLORS[:count]]
    for i in range(len(colors), count):
        hue = (i * 0.618034) % 1.0
        rgb = hsv_to_rgb((hue, 0.55 + 0.35 * (i % 2), 0.95 - 0.3 * (i % 3) / 2))
        colors.append(tuple(int(round(255 * channel)) for channel in rgb))
    return colors


def new_figure(
    rows: int, columns: int, panel: float = 1.9, title_space: float = 0.0, aspect: float | Sequence[float] = 1.0
) -> tuple[Figure, np.ndarray]:
    """Makes a figure that is not tied to pyplot, so that no window and no global state exists.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        panel: Width of a panel in inches.
        title_space: Additional height in inches.
        aspect: Height of a panel by its width, for all rows or for each.

    Returns:
        The figure and its axes, shape ``(rows, columns)``.
    """
    aspects = list(aspect) if isinstance(aspect, Sequence) else [aspect] * rows
    height = sum(panel * row + 0.25 for row in aspects) + title_space
    figure = Figure(figsize=(panel * columns, height), dpi=110, layout='constrained')
    return figure, figure.subplots(rows, columns, squeeze=False, height_ratios=aspects)


def draw_picture(axes: Axes, picture: np.ndarray, title: str | Sequence[str] = '', **options: object) -> None:
    """Shows one picture without ticks.

    Args:
        axes: Where to draw.
        picture: ``(H, W, 3)`` or ``(H, W)``.
        title: Text above the picture; several parts become several lines.
        **options: Passed on to ``imshow``.
    """
    if picture.ndim == 2:
        options.setdefault('cmap', 'gray')
    axes.imshow(picture, **options)
    axes.set_axis_off()
    if title:
        axes.set_title(title if isinstance(title, str) else '\n'.join(title), fontsize=8)
