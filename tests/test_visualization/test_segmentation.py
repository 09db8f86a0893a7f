import numpy as np
import pytest

from mim_plugin.errors import DataError
from mim_plugin.visualization import class_colors, color_labels, draw_segmentation
from mim_plugin.visualization.style import IGNORED_COLOR


def test_color_labels_uses_the_palette_and_marks_what_is_ignored():
    palette = [(1, 2, 3), (4, 5, 6)]
    picture = color_labels(np.array([[0, 1], [255, 0]], dtype=np.uint8), palette)
    assert picture.tolist() == [[[1, 2, 3], [4, 5, 6]], [list(IGNORED_COLOR), [1, 2, 3]]]


def test_color_labels_names_a_label_without_color():
    with pytest.raises(DataError, match='Label 7 has no colour: there are 2 classes'):
        color_labels(np.array([[0, 7]]), [(0, 0, 0), (1, 1, 1)])


@pytest.mark.parametrize('count', [1, 7, 30])
def test_class_colors_differ(count: int):
    colors = class_colors(count)
    assert len(set(colors)) == count
    assert all(0 <= channel <= 255 for color in colors for channel in color)


def test_draw_segmentation_counts_right_pixels_without_ignored_ones():
    truth = np.array([[0, 1], [255, 1]])
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    figure = draw_segmentation([image], [truth], {'model': [np.array([[0, 0], [0, 1]])]}, ['a', 'b'], class_colors(2))
    assert figure.axes[2].get_title() == 'model\n67 % of pixels right'
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['a', 'b', 'not counted']
    figure.canvas.draw()
