import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mim_plugin.visualization.detection import Objects, draw_detections


def test_scores_at_the_edges_are_inside_the_image():
    boxes = np.array([[20, 0, 60, 40], [0, 30, 30, 79], [90, 3, 99, 60], [40, 50, 70, 70]], dtype=float)
    masks = np.zeros((4, 80, 100), dtype=bool)
    objects = Objects(boxes, np.array([0, 1, 0, 1]), masks, np.array([1.0, 0.9, 0.8, 0.7]))
    image = np.zeros((80, 100, 3), dtype=np.uint8)
    figure = draw_detections([image], {'ground truth': [objects], 'predicted': [objects]}, ['cat', 'dog'])
    FigureCanvasAgg(figure).draw()
    panel = figure.axes[2]
    inside = panel.get_window_extent().padded(1.5)  # of the border of a text
    for text in panel.texts:
        box = text.get_window_extent()
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    assert [text.get_text() for text in panel.texts] == ['1.00', '0.90', '0.80', '0.70']
    assert [text.get_va() for text in panel.texts] == ['top', 'bottom', 'top', 'bottom']
