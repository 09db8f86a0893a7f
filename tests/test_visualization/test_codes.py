"""Figures of codes."""

import numpy as np

from mim_plugin.visualization import draw_code_usage, draw_reconstructions


def test_pictures_stand_above_what_was_decoded():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8)
    figure = draw_reconstructions(images, 255 - images, title='epoch 3')
    assert len(figure.axes) == 6
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert all((shown[i] == images[i]).all() and (shown[3 + i] == 255 - images[i]).all() for i in range(3))


def test_usage_ranks_the_codes_and_counts_those_that_occur():
    figure = draw_code_usage(np.array([0, 30, 10, 0]))
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [75, 25, 0, 0]
    assert axes.get_title() == '2 of 4 codes occur in 40 patches'
    assert list(axes.lines[0].get_ydata()) == [25, 25]
