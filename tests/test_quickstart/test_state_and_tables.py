from pathlib import Path

import pytest

from mim_plugin.apis.quickstart.options import QuickstartOptions
from mim_plugin.apis.quickstart.report import feature_table, segmentation_table
from mim_plugin.apis.quickstart.state import RunState
from mim_plugin.errors import ConfigError


def test_finished_steps_are_there_after_a_resume(tmp_path: Path):
    RunState(QuickstartOptions(work_dir=tmp_path)).finish('data', 1.25, {'n': 3})
    state = RunState(QuickstartOptions(work_dir=tmp_path, resume=True))
    assert state.result('data') == {'n': 3} and state.result('pretrain') == {}


def test_a_new_run_removes_what_the_last_one_left(tmp_path: Path):
    RunState(QuickstartOptions(work_dir=tmp_path)).finish('data', 1.0, {})
    (tmp_path / 'pretrain').mkdir()
    (tmp_path / 'notes.txt').write_text('mine')
    assert RunState(QuickstartOptions(work_dir=tmp_path)).steps == {}
    assert not (tmp_path / 'pretrain').exists() and (tmp_path / 'notes.txt').exists()


def test_folders_of_somebody_else_are_left_alone(tmp_path: Path):
    (tmp_path / 'data').mkdir()
    with pytest.raises(ConfigError, match='holds files of something else'):
        RunState(QuickstartOptions(work_dir=tmp_path))
    assert (tmp_path / 'data').is_dir()


@pytest.mark.parametrize(
    'change', [{'seed': 1}, {'method': 'ibot'}, {'epochs': 3}, {'from_scratch': True}, {'data': Path('/elsewhere')}]
)
def test_resume_refuses_another_run(tmp_path: Path, change: dict):
    RunState(QuickstartOptions(work_dir=tmp_path)).save()
    with pytest.raises(ConfigError, match=f'{next(iter(change))}='):
        RunState(QuickstartOptions(work_dir=tmp_path, resume=True, **change))


def test_damaged_state_file(tmp_path: Path):
    (tmp_path / 'state.json').write_text('{')
    with pytest.raises(ConfigError, match='damaged'):
        RunState(QuickstartOptions(work_dir=tmp_path, resume=True))


@pytest.mark.parametrize('options', [{'method': 'mae'}, {'epochs': 0}, {'seed': -1}, {'device': 'tpu'}])
def test_options_that_cannot_work(options: dict):
    with pytest.raises(ConfigError, match=f'--{next(iter(options))}'):
        QuickstartOptions(**options)


def test_configs_exist():
    assert all(path.is_file() for method in ('ibot', 'beit') for path in QuickstartOptions(method=method).configs)


def test_tables():
    figures = {'auc': 71.94, 'balanced': 60.0, 'accuracy': 65.0}
    rows = [{'name': 'thumbnails', 'knn': figures, 'few': figures, 'all': figures}]
    lines = feature_table(rows, 'cells', (10, 5), 20, 1.5)
    assert lines[1].split() == ['k-NN', '20', 'labels', 'all', 'labels']
    assert lines[4].split() == ['thumbnails', *['71.9', '60.0'] * 3]
    assert lines[1].index('k-NN') == lines[2].index('ROC-AUC')
    assert '1.5 points' in lines[-1]
    lines = segmentation_table([{'name': 'a', 'mIoU': 24.5, 'aAcc': 41.4}], ['x', 'y'], (4, 2), composed=True)
    assert 'composed scenes' in lines[0] and lines[-1].split() == ['a', '24.5', '41.4']


def test_resume_without_a_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='leave --resume out'):
        RunState(QuickstartOptions(work_dir=str(tmp_path), resume=True))


def test_an_unfinished_run_is_not_thrown_away(tmp_path):
    options = QuickstartOptions(work_dir=str(tmp_path))
    RunState(options)
    checkpoint = tmp_path / 'pretrain' / 'interrupted_iter_3.pth'
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b'trained for hours')
    with pytest.raises(ConfigError, match='add --resume'):
        RunState(options)
    assert checkpoint.is_file()
    (tmp_path / 'summary.json').write_text('{}')  # once it is finished, a new run replaces it
    RunState(options)
    assert not checkpoint.exists()
