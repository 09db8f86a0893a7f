import json
from pathlib import Path

import numpy as np

from mim_plugin.visualization import draw_curves, read_scalars
from mim_plugin.visualization.curves import _smooth


def write_log(folder: Path, records: list[dict], tail: str = '') -> None:
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text('\n'.join(json.dumps(record) for record in records) + '\n' + tail)


def test_read_scalars_joins_the_parts_of_a_resumed_run(tmp_path: Path):
    write_log(tmp_path / '20200101_000000' / 'vis_data', [{'loss': 3.0, 'step': 1}, {'loss': 2.0, 'step': 2}], '{"lo')
    write_log(
        tmp_path / '20200102_000000' / 'vis_data', [{'loss': 1.5, 'step': 2}, {'loss': 1.0, 'step': 3, 'iter': 3}]
    )
    assert read_scalars(tmp_path) == {'loss': ((1, 2, 3), (3.0, 1.5, 1.0))}


def test_read_scalars_of_an_empty_folder(tmp_path: Path):
    assert read_scalars(tmp_path) == {}


def test_smooth_keeps_constants_and_length():
    assert np.allclose(_smooth(np.full(50, 2.5), 7), 2.5)
    assert len(_smooth(np.arange(10.0), 4)) == 10


def test_draw_curves_has_a_panel_a_title():
    long = (np.arange(100), np.random.default_rng(0).random(100))
    figure = draw_curves({'loss': {'class': long, 'patch': long}, 'rank': {'rank': ((1, 2), (3.0, 4.0))}})
    assert [axes.get_title() for axes in figure.axes] == ['loss', 'rank']
    assert len(figure.axes[0].lines) == 4 and len(figure.axes[1].lines) == 1
    figure.canvas.draw()
