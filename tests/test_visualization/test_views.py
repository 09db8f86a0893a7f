import numpy as np
import pytest

from mim_plugin.errors import DataError
from mim_plugin.visualization import draw_views, hide_patches
from mim_plugin.visualization.views import HIDDEN_COLOR


def test_hide_patches_paints_whole_patches_and_leaves_the_crop_alone():
    crop = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    mask = np.zeros((2, 3), dtype=bool)
    mask[1, 0] = True
    before = crop.copy()
    picture = hide_patches(crop, mask)
    assert (picture[4:, :4] == HIDDEN_COLOR).all()
    assert (picture[:4] == crop[:4]).all() and (picture[:, 4:] == crop[:, 4:]).all()
    assert (crop == before).all()


def test_hide_patches_refuses_a_grid_that_does_not_divide():
    with pytest.raises(DataError, match='3 x 3 patches'):
        hide_patches(np.zeros((8, 8, 3), dtype=np.uint8), np.zeros((3, 3), dtype=bool))


def test_draw_views_tells_how_many_patches_are_hidden():
    crop = np.zeros((8, 8, 3), dtype=np.uint8)
    mask = np.eye(2, dtype=bool)
    figure = draw_views(np.zeros((20, 30, 3), dtype=np.uint8), [crop, crop], [mask, mask], [crop[:4, :4]])
    titles = [axes.get_title() for axes in figure.axes]
    assert sum('2 of 4 patches hidden' in title for title in titles) == 2
    assert any('20 x 30' in title for title in titles) and any('local crop 1' in title for title in titles)
    assert 'global crop 1, for the teacher\n8 x 8 pixels' in titles
    of_beit = draw_views(crop, [crop], [mask], tokenizer='tokenizer')
    assert 'global crop 1, for the tokenizer\n8 x 8 pixels' in [axes.get_title() for axes in of_beit.axes]
    figure.canvas.draw()
