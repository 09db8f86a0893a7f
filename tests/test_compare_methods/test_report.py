import pytest

from mim_plugin.apis.compare_methods.options import Setting
from mim_plugin.apis.compare_methods.report import _figure, _summarise, table


def final(knn: float, other: float = 10.0, seconds: float = 60.0) -> dict:
    figures = {'knn': {'accuracy': knn}, 'linear': {'accuracy': knn + 1}}
    others = {'knn': {'accuracy': other}, 'linear': {'accuracy': other}}
    return {'seconds': seconds, 'images': 6400, 'memory_mb': 500, 'scores': {'cls': figures, 'patches': others}}


def row(arm: str, finals: dict, setting: Setting = Setting(64, 480.0)) -> dict:  # noqa: B008  it is frozen
    label = {'image_size': setting.image_size, 'seconds': setting.seconds, 'label': setting.label}
    return _summarise({'arm': arm, 'setting': label, 'tokenizers': {}, 'trials': {}, 'finals': finals, 'lr': 2e-3})


@pytest.fixture
def summary() -> dict:
    return {
        'images': {'train': 100, 'test': 50, 'classes': 4},
        'learning_rates': [1e-3, 2e-3, 4e-3],
        'baselines': [{'name': 'majority class', 'knn': {'accuracy': 25.0}, 'linear': {'accuracy': 25.0}}],
        'rows': [row('dino', {'0': final(30), '1': final(34)}), row('ibot', {'0': final(33)})],
        'machine': {'device': 'cpu', 'cores': 2, 'processor': 'x'},
    }


def test_table(summary: dict):
    lines = table(summary).splitlines()
    assert lines[0].count('|') == lines[1].count('|') == lines[3].count('|')
    assert 'setting' not in lines[0]
    assert lines[2].startswith('| majority class | 25.0 | 25.0 |')
    assert lines[3] == '| DINO | 32.0 ± 2.8 | 33.0 ± 2.8 | 10.0 ± 0.0 | 0.002 | 1:00 | 6,400 | 500 MB | 2 |'
    assert lines[4] == '| iBOT | 33.0 | 34.0 | 10.0 | 0.002 | 1:00 | 6,400 | 500 MB | 1 |'
    assert '100 training and 50 test images, 4 classes' in lines[-1] and 'at most 7.1 points' in lines[-1]


def test_a_second_setting_is_named(summary: dict):
    summary['rows'].append(row('ibot', {'0': final(40)}, Setting(96, 1200.0)))
    lines = table(summary).splitlines()
    assert lines[4].startswith('| iBOT | 64 px, 8 min | 33.0') and lines[5].startswith('| iBOT | 96 px, 20 min | 40.0')
    labels = [text.get_text() for text in _figure(summary).axes[0].get_yticklabels()]
    assert labels == ['DINO', 'iBOT\n(64 px, 8 min)', 'iBOT\n(96 px, 20 min)']


def test_figure_has_a_bar_a_method_a_point_a_seed_and_a_line_a_baseline(summary: dict):
    figure = _figure(summary)
    assert [axes.get_title() for axes in figure.axes] == ['k-NN, 20 neighbours', 'logistic regression, all labels']
    left = figure.axes[0]
    assert [bar.get_width() for bar in left.patches] == [32, 33]
    assert [sorted(points.get_offsets()[:, 0].tolist()) for points in left.collections] == [[30, 34], [33]]
    assert [line.get_xdata()[0] for line in left.lines] == [25]
