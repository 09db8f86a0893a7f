"""Self-attention of the [CLS] token: one map a head, and the patches that hold 60 % of its mass.

Source: iBOT (arXiv 2111.07832), figures 6 and 18; settings of the published script.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mim_plugin.errors import DataError
from mim_plugin.visualization.style import HEAD_COLORS, draw_picture, new_figure

__all__ = ['color_heads', 'draw_attention', 'mass_mask']


def mass_mask(attention: np.ndarray, mass: float = 0.6) -> np.ndarray:
    """Returns the smallest set of patches which holds a share of the attention.

    Args:
        attention: Non-negative weights, ``(..., h, w)``; each map may have any sum above zero.
        mass: Share to keep, in (0, 1].

    Returns:
        True inside the set, same shape as ``attention``.

    Raises:
        DataError: If ``mass`` is outside (0, 1].
    """
    if not 0 < mass <= 1:
        raise DataError(f'mass={mass} is no share of the attention: give a number above 0 and up to 1.')
    flat = attention.reshape(*attention.shape[:-2], -1).astype(np.float64)
    order = np.argsort(-flat, axis=-1, kind='stable')
    ranked = np.take_along_axis(flat, order, axis=-1)
    # A patch belongs to the set while those before it do not reach the mass yet.
    before = np.cumsum(ranked, axis=-1) - ranked
    inside = np.empty(flat.shape, dtype=bool)
    np.put_along_axis(inside, order, before < mass * ranked.sum(axis=-1, keepdims=True), axis=-1)
    return inside.reshape(attention.shape)


def _enlarge(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest-neighbour enlargement of ``(..., h, w)`` to ``(..., H, W)``."""
    rows = (np.arange(size[0]) * values.shape[-2] / size[0]).astype(int)
    columns = (np.arange(size[1]) * values.shape[-1] / size[1]).astype(int)
    return values[..., rows[:, None], columns[None, :]]


def color_heads(image: np.ndarray, attention: np.ndarray, mass: float = 0.6, opacity: float = 0.65) -> np.ndarray:
    """Lays the heads over the image: each kept patch takes the colour of its strongest head.

    Args:
        image: Pixels, ``(H, W, 3)`` uint8.
        attention: Weights of each head, ``(heads, h, w)``.
        mass: Share of each head's attention that is kept.
        opacity: Opacity of the strongest patch; the others follow the square root of their weight.

    Returns:
        Pixels ``(H, W, 3)`` uint8. Heads beyond the seventh reuse colours.
    """
    kept = np.where(mass_mask(attention, mass), attention, 0.0)
    kept = kept / np.maximum(kept.max(axis=(1, 2), keepdims=True), 1e-12)
    strongest = kept.argmax(axis=0)
    alpha = opacity * np.sqrt(kept.max(axis=0))
    colors = HEAD_COLORS[strongest % len(HEAD_COLORS)].astype(np.float64)
    size = image.shape[:2]
    alpha = _enlarge(alpha, size)[..., None]
    colors = np.moveaxis(_enlarge(np.moveaxis(colors, -1, 0), size), 0, -1)
    gray = image.astype(np.float64).mean(axis=-1, keepdims=True)
    return np.clip((1 - alpha) * gray + alpha * colors, 0, 255).round().astype(np.uint8)


def draw_attention(
    images: Sequence[np.ndarray],
    attentions: Sequence[np.ndarray],
    mass: float = 0.6,
    names: Sequence[str] = (),
    title: str = '',
) -> Figure:
    """Draws a row for each image: the image, all heads in colour, then each head with its 60 % contour.

    Args:
        images: Pixels, ``(H, W, 3)`` uint8 each.
        attentions: Last-block attention from [CLS] to the patches, ``(heads, h, w)`` each.
        mass: Share of the attention inside the contours.
        names: Text beside each image.
        title: Text above the figure.

    Returns:
        The figure.
    """
    heads = attentions[0].shape[0]
    aspect = images[0].shape[0] / images[0].shape[1]
    figure, axes = new_figure(len(images), 2 + heads, panel=1.7, title_space=0.4, aspect=aspect)
    percent = f'{100 * mass:.0f} %'
    for row, (image, attention) in enumerate(zip(images, attentions, strict=True)):
        top = row == 0
        draw_picture(axes[row, 0], image, names[row] if names else ('image' if top else ''))
        overlay = color_heads(image, attention, mass)
        draw_picture(axes[row, 1], overlay, 'strongest head\n(colour = head)' if top else '')
        inside = _enlarge(mass_mask(attention, mass), image.shape[:2])
        maps = _enlarge(attention, image.shape[:2])
        for head in range(heads):
            panel = axes[row, 2 + head]
            color = HEAD_COLORS[head % len(HEAD_COLORS)] / 255
            draw_picture(panel, maps[head], '', cmap='magma')
            panel.contour(inside[head], levels=[0.5], colors=[color], linewidths=1.4)
            if top:
                panel.set_title(f'head {head + 1}\nline: {percent} of attention', fontsize=8, color=tuple(color * 0.75))
    if title:
        figure.suptitle(title, fontsize=9)
    return figure
