import numpy as np

from mim_plugin.visualization import draw_predictions
from mim_plugin.visualization.views import HIDDEN_COLOR


def test_rows_columns_and_the_line_around_hidden_patches():
    image = np.zeros((8, 12, 3), dtype=np.uint8)
    mask = np.array([[False, True, False], [False, True, True]])
    small = np.full((4, 6, 3), 9, dtype=np.uint8)
    figure = draw_predictions([image] * 2, [mask] * 2, [small] * 2, [small] * 2, notes=['one', 'two'], title='all')
    assert len(figure.axes) == 8
    assert (figure.axes[1].images[0].get_array()[:4, 4:8] == HIDDEN_COLOR).all()
    assert figure.axes[3].get_title().endswith('one') and figure.axes[7].get_title() == 'two'
    lines = {tuple(sorted(map(tuple, line.tolist()))) for line in figure.axes[3].collections[0].get_segments()}
    # Three patches in an L have eight sides; cells are 2 pixels, pixels start at -0.5.
    assert len(lines) == 8
    assert {((1.5, -0.5), (3.5, -0.5)), ((3.5, 1.5), (5.5, 1.5)), ((1.5, 1.5), (1.5, 3.5))} <= lines
    figure.canvas.draw()
