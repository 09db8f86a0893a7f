from pathlib import Path

import pytest

from mim_plugin.apis.compare_methods.options import Setting
from mim_plugin.apis.compare_methods.results import Results
from mim_plugin.errors import ConfigError

SETTING = Setting(64, 60.0)


def never() -> dict:
    raise AssertionError('done before')


def test_what_was_found_once_is_kept(tmp_path: Path):
    results = Results(tmp_path, Path('a'))
    assert results.once(results.row('ibot', SETTING)['finals'], '0', lambda: {'x': 1}) == {'x': 1}
    again = Results(tmp_path, Path('a'))
    assert again.once(again.row('ibot', SETTING)['finals'], '0', never) == {'x': 1}
    assert [row['arm'] for row in again.rows] == ['ibot']


def test_another_setting_is_another_row(tmp_path: Path):
    results = Results(tmp_path, Path('a'))
    results.row('ibot', SETTING)['finals']['0'] = {}
    assert results.row('ibot', Setting(96, 60.0))['finals'] == {}


def test_work_that_fails_leaves_no_trace(tmp_path: Path):
    results = Results(tmp_path, Path('a'))
    with pytest.raises(AssertionError):
        results.once(results.row('ibot', SETTING)['trials'], '0.1', never)
    assert results.row('ibot', SETTING)['trials'] == {}


def test_other_images_are_refused(tmp_path: Path):
    Results(tmp_path, Path('a')).save()
    with pytest.raises(ConfigError, match='results with --data a, but --data is b'):
        Results(tmp_path, Path('b'))


def test_a_damaged_file_is_named(tmp_path: Path):
    (tmp_path / 'results.json').write_text('{"data": ')
    with pytest.raises(ConfigError, match=r'results.json is damaged'):
        Results(tmp_path, Path('a'))
