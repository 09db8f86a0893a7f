import numpy as np
import pytest

from mim_plugin.errors import DataError
from mim_plugin.visualization import color_heads, draw_attention, mass_mask
from mim_plugin.visualization.style import HEAD_COLORS


def test_mass_mask_is_the_smallest_set_that_reaches_the_mass():
    attention = np.random.default_rng(0).random((5, 4, 6))
    inside = mass_mask(attention, 0.6)
    for weights, kept in zip(attention, inside):
        ranked = np.sort(weights.ravel())[::-1]
        count = int(np.searchsorted(np.cumsum(ranked), 0.6 * ranked.sum())) + 1
        assert kept.sum() == count
        assert weights[kept].min() >= weights[~kept].max()


def test_mass_mask_of_one_peak_and_of_everything():
    peak = np.zeros((3, 3))
    peak[1, 2] = 1.0
    assert mass_mask(peak).sum() == 1 and mass_mask(peak)[1, 2]
    assert mass_mask(np.ones((2, 2)), 1.0).all()
    with pytest.raises(DataError, match='share'):
        mass_mask(peak, 0.0)


def test_color_heads_gives_each_patch_the_color_of_its_strongest_head():
    image = np.full((8, 8, 3), 100, dtype=np.uint8)
    attention = np.zeros((2, 2, 2))
    attention[0, 0, 0] = attention[1, 1, 1] = 1.0
    picture = color_heads(image, attention, opacity=1.0)
    assert tuple(picture[0, 0]) == tuple(HEAD_COLORS[0])
    assert tuple(picture[7, 7]) == tuple(HEAD_COLORS[1])
    assert tuple(picture[0, 7]) == (100, 100, 100)


def test_draw_attention_has_a_row_an_image_and_a_column_a_head():
    images = [np.zeros((20, 24, 3), dtype=np.uint8)] * 2
    maps = [np.random.default_rng(i).random((3, 5, 6)) for i in range(2)]
    figure = draw_attention(images, maps, names=['a', 'b'], title='attention')
    assert len(figure.axes) == 2 * (2 + 3)
    figure.canvas.draw()
