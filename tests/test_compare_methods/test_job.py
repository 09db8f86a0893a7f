import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mim_plugin.apis.compare_methods import CompareOptions, arms, compare_methods
from mim_plugin.apis.compare_methods.options import ARMS, LEARNING_RATES
from mim_plugin.apis.compare_methods.results import Results
from mim_plugin.apis.compare_methods.training import BudgetError, epochs_within
from mim_plugin.apis.long_commands.folders import ClassFolders
from mim_plugin.errors import DataError, MIMError, NonFiniteLossError
from tests.fresh_python import FreshPython
from tests.test_compare_methods.tiny import TINY

ROOT = Path(__file__).parents[2]


def options(images: Path, **changes) -> CompareOptions:
    settings = dict(work_dir=images.parent / 'work', image_size=32, cfg_options=TINY)
    return CompareOptions(images, **settings | changes)


def counted(monkeypatch: pytest.MonkeyPatch, stop_at: int | None = None, error=KeyboardInterrupt) -> list[str]:
    """Titles of the trainings that are begun; ``error`` at one of them."""
    begun, train = [], arms.train

    def watched(cfg, folder, seed, epochs, lr, title, progress):
        begun.append(title)
        if len(begun) == stop_at:
            raise error
        return train(cfg, folder, seed, epochs, lr, title, progress)

    monkeypatch.setattr(arms, 'train', watched)
    return begun


def test_all_arms(images: Path, short: None, capsys: pytest.CaptureFixture):
    codes = {**TINY, 'model.tokenizer.vocabulary_size': 16}
    compare_methods(options(images, arms=('random', 'pixels', 'dino', 'ibot')))
    summary = compare_methods(options(images, arms=('beit-features',), cfg_options=codes))
    assert [row['arm'] for row in summary['rows']] == ['random', 'pixels', 'dino', 'ibot', 'beit-features']
    for row in summary['rows']:
        for found in row['finals'].values():
            assert set(found['scores']) == {'cls', 'patches'}
            assert {'accuracy', 'balanced', 'auc'} == set(found['scores']['cls']['knn'])
        if row['arm'] != 'random':
            assert sorted(map(float, row['trials'])) == list(LEARNING_RATES) and row['lr'] in LEARNING_RATES
            assert row['finals']['0']['images'] == 16 and row['finals']['0']['seconds'] > 0
    ibot = summary['rows'][3]
    assert ibot['pooling'] == 'cls' and 'loss_patch' in ibot['finals']['0']['logged']
    assert summary['rows'][4]['finals']['0']['tokenizer_seconds'] > 0
    work = images.parent / 'work'
    assert (work / 'comparison.png').stat().st_size > 5000
    table = (work / 'table.md').read_text()
    assert '| random initialisation |' in table and '| standardised thumbnails |' in table
    assert json.loads((work / 'summary.json').read_text())['machine']['cores'] >= 1
    assert '| iBOT |' in capsys.readouterr().out


def test_beit_with_its_own_dvae(images: Path, short: None):
    summary = compare_methods(options(images, arms=('beit-dvae',)))
    (row,) = summary['rows']
    made = row['tokenizers']['0']
    assert Path(made['file']).is_file() and made['seconds'] > 0 and 'perplexity' in made['logged']
    # The time of the tokenizer is the arm's.
    assert row['finals']['0']['tokenizer_seconds'] == made['seconds'] < row['finals']['0']['seconds']


def test_a_killed_run_goes_on_with_what_is_left(images: Path, short: None, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        counted(patch, stop_at=3)
        with pytest.raises(KeyboardInterrupt):
            compare_methods(options(images, arms=('pixels',)))
    begun = counted(monkeypatch)
    compare_methods(options(images, arms=('pixels',)))
    assert begun == ['pixel regression, lr 0.004', 'pixel regression, seed 0']
    begun.clear()
    compare_methods(options(images, arms=('pixels',), seeds=2))
    assert begun == ['pixel regression, seed 1']


def test_an_arm_that_fails_keeps_no_other_from_finishing(images: Path, short: None, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        counted(patch, stop_at=1, error=RuntimeError('out of memory'))
        with pytest.raises(MIMError, match='2 of 6 parts failed.*pixel regression: which lr.*out of memory'):
            compare_methods(options(images, arms=('random', 'pixels', 'dino')))
    work = images.parent / 'work'
    assert 'RuntimeError: out of memory' in (work / 'failures.log').read_text()
    assert '| DINO |' in (work / 'table.md').read_text()
    begun = counted(monkeypatch)
    summary = compare_methods(options(images, arms=('random', 'pixels', 'dino')))
    assert len(begun) == 4 and [row['arm'] for row in summary['rows']] == ['random', 'pixels', 'dino']


def bench(images: Path, **changes) -> arms.Bench:
    folders = ClassFolders(images / 'train', images / 'no such folder', ('class_0', 'class_1'), 'two classes')
    found = options(images, **changes)
    result = arms.Bench(found, folders, Results(found.work_dir, images))
    result.progress = SimpleNamespace(say=lambda *args: None)
    return result


def test_the_choice_of_the_lr_sees_no_test_image(images: Path, short: None):
    # There are none here at all.
    chosen = bench(images, arms=('pixels',))
    arms.trials(chosen, 'pixels')
    row = chosen.row('pixels')
    assert row['lr'] == max(LEARNING_RATES, key=lambda lr: row['trials'][f'{lr:g}']['knn'])
    with pytest.raises(DataError, match='no such folder'):
        arms.final(chosen, 'pixels', 0)


def test_the_best_trial_wins_and_one_that_diverged_loses(images: Path, short: None, monkeypatch: pytest.MonkeyPatch):
    scores = iter((40.0, 50.0))
    monkeypatch.setattr(arms.scoring, 'leave_one_out', lambda train: next(scores))
    counted(monkeypatch, stop_at=2, error=NonFiniteLossError('loss became nan'))
    chosen = bench(images, arms=('pixels',))
    arms.trials(chosen, 'pixels')
    row = chosen.row('pixels')
    assert row['lr'] == LEARNING_RATES[2] and row['trials']['0.002'] == {'knn': None, 'error': 'loss became nan'}


def test_a_time_that_is_too_short_for_an_epoch():
    with pytest.raises(BudgetError, match=r'may take 2 s, but one epoch takes 5 s .* give --minutes 2.8 or more'):
        epochs_within(2.0, 5.0, 'A trial of iBOT', 1.0)
    assert epochs_within(5.2, 2.5, 'A trial of iBOT', 1.0) == 2


def test_folders_that_cannot_work(images: Path, tmp_path: Path):
    with pytest.raises(DataError, match='no class folders'):
        compare_methods(options(images / 'train'))
    with pytest.raises(DataError, match='holds 16 images, fewer than one batch of 64'):
        compare_methods(options(images, cfg_options={}))
    for picture in (images / 'val' / 'class_1').iterdir():
        picture.unlink()
    with pytest.raises(DataError, match='val/class_1 holds no image'):
        compare_methods(options(images))
    (images / 'val' / 'class_1').rmdir()
    (images / 'train' / 'class_1').rename(tmp_path / 'elsewhere')
    with pytest.raises(DataError, match='two classes'):
        compare_methods(options(images))


TOOL = ROOT / 'tools/benchmarks/compare_methods.py'


def test_the_command_within_a_real_time(images: Path, fresh_python: FreshPython):
    changes = ['train_dataloader.batch_size=8', 'model.backbone.arch.embed_dims=16', 'model.backbone.arch.num_layers=1']
    arguments = ['--arms', 'random,pixels', '--minutes', '.1', '--image-size', '32', '--cfg-options', *changes]
    done = fresh_python(TOOL, '--data', images, *arguments, cwd=images.parent)
    assert done.returncode == 0, done.stderr[-2000:]
    assert '| pixel regression |' in done.stdout and 'trials of 0.667 s' in done.stdout + done.stderr
    rows = json.loads((images.parent / 'work_dirs/compare_methods/results.json').read_text())['rows']
    found = rows['pixels: 32 px, 0.1 min, ' + ', '.join(sorted(changes))]
    assert found['finals']['0']['epochs'] > 1 and 0 < found['finals']['0']['seconds'] < 60


def test_the_command_tells_a_mistake_in_one_line(images: Path, fresh_python: FreshPython):
    done = fresh_python(TOOL, '--data', images, '--arms', 'ibot,moco', cwd=images.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --arms ibot,moco: ['moco'] is no arm") and 'Traceback' not in done.stderr
    assert set(ARMS) <= set(done.stderr.replace(',', ' ').replace('.', ' ').split())
