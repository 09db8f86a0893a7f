import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from mim_plugin.apis.long_commands.progress import ProgressHook
from mim_plugin.apis.quickstart import QuickstartOptions, run_quickstart
from mim_plugin.errors import CheckpointError, DataError
from mim_plugin.testing.images import write_image_folder
from mim_plugin.visualization import read_scalars
from tests.fresh_python import FreshPython

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mim_plugin.apis.quickstart.features.DRAWS', 2)


def test_a_whole_run_on_a_users_folder(
    tmp_path: Path, labelled_data: Path, start_checkpoint: Path, tiny_configs: dict, capsys: pytest.CaptureFixture
):
    pytest.importorskip('mmseg')
    options = dict(work_dir=tmp_path / 'run', data=labelled_data, epochs=1, checkpoint=start_checkpoint, **tiny_configs)
    summary = run_quickstart(QuickstartOptions(**options))
    rows = {row['name']: row for row in summary['frozen_features']}
    assert list(rows) == [
        'majority class',
        'raw thumbnails 16 x 16',
        'thumbnails, standardised',
        'random weights',
        'shipped checkpoint',
        'checkpoint + iBOT on these images',
    ]
    assert all(0 <= row[part]['auc'] <= 100 for row in rows.values() for part in ('knn', 'few', 'all'))
    masks = [row['name'] for row in summary['segmentation']]
    assert masks == ['colour classifier', 'UPerNet, random weights', 'UPerNet, checkpoint + iBOT on these images']
    assert summary['pretraining']['epochs'] == 1 and summary['pretraining']['images'] == 12
    for name in ('views', 'attention', 'curves', 'segmentation'):
        assert (tmp_path / 'run' / 'pictures' / f'{name}.png').stat().st_size > 5000
    printed = capsys.readouterr().out
    assert 'shipped checkpoint' in printed and 'mIoU' in printed
    assert json.loads((tmp_path / 'run' / 'summary.json').read_text())['machine']['cores'] >= 1

    # A resumed run repeats no finished step and tells the same.
    again = run_quickstart(QuickstartOptions(resume=True, **options))
    assert again['steps'] == summary['steps']
    assert 'done before' in capsys.readouterr().out


def test_beit_fits_codes_trains_scores_and_draws(
    tmp_path: Path, labelled_data: Path, start_checkpoint: Path, tiny_beit: dict, monkeypatch: pytest.MonkeyPatch
):
    (labelled_data / 'classes.json').unlink()
    for name in ('images', 'annotations'):
        shutil.rmtree(labelled_data / name)
    options = dict(work_dir=tmp_path / 'run', data=labelled_data, epochs=2, **tiny_beit)
    options['checkpoint'] = start_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(ProgressHook, 'after_train_iter', lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(SystemExit):
            run_quickstart(QuickstartOptions(**options))
    codes = (tmp_path / 'run/pretrain/codes.safetensors').stat().st_mtime_ns
    summary = run_quickstart(QuickstartOptions(resume=True, **options))
    assert (tmp_path / 'run/pretrain/codes.safetensors').stat().st_mtime_ns == codes, 'codes are fitted once'
    names = [row['name'] for row in summary['frozen_features']]
    assert names[-3:] == ['random weights', 'shipped checkpoint', 'checkpoint + BEiT on these images']
    assert summary['options']['method'] == 'beit' and summary['pretraining']['iterations'] == 6
    for name in ('views', 'attention', 'curves'):
        assert (tmp_path / 'run' / 'pictures' / f'{name}.png').stat().st_size > 5000
    assert 'loss_mim' in read_scalars(tmp_path / 'run/pretrain')


def test_images_without_labels_are_pretrained_on_and_drawn(
    tmp_path: Path, tiny_configs: dict, capsys: pytest.CaptureFixture
):
    write_image_folder(tmp_path / 'photos', per_class=2)
    options = QuickstartOptions(
        work_dir=tmp_path / 'run', data=tmp_path / 'photos', epochs=1, from_scratch=True, **tiny_configs
    )
    summary = run_quickstart(options)
    assert summary['frozen_features'] == [] and summary['segmentation'] == []
    assert sorted(path.stem for path in (tmp_path / 'run' / 'pictures').iterdir()) == ['attention', 'curves', 'views']
    printed = capsys.readouterr().out
    assert 'skipped' in printed and 'no class folders' in printed and 'no images/{training,validation}' in printed


def test_ctrl_c_in_pretraining_leaves_a_run_that_goes_on(
    tmp_path: Path, tiny_configs: dict, monkeypatch: pytest.MonkeyPatch
):
    write_image_folder(tmp_path / 'photos', per_class=4)
    options = dict(work_dir=tmp_path / 'run', data=tmp_path / 'photos', epochs=2, from_scratch=True, **tiny_configs)
    with monkeypatch.context() as patch:
        patch.setattr(ProgressHook, 'after_train_iter', lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(SystemExit) as stop:
            run_quickstart(QuickstartOptions(**options))
    assert stop.value.code == 130
    folder = tmp_path / 'run' / 'pretrain'
    assert (folder / 'interrupted_iter_1.pth').is_file()
    summary = run_quickstart(QuickstartOptions(resume=True, **options))
    assert summary['pretraining']['iterations'] == 4
    assert summary['pretraining']['checkpoint'].endswith('epoch_2.pth')
    assert max(read_scalars(folder)['loss'][0]) == 4


def test_missing_checkpoint_is_told_before_anything_is_written(tmp_path: Path, tiny_configs: dict):
    write_image_folder(tmp_path / 'photos')
    options = QuickstartOptions(
        work_dir=tmp_path / 'run', data=tmp_path / 'photos', checkpoint=tmp_path / 'none.safetensors', **tiny_configs
    )
    with pytest.raises(CheckpointError, match='--from-scratch'):
        run_quickstart(options)
    assert not (tmp_path / 'run').exists()


def test_folder_without_images(tmp_path: Path, tiny_configs: dict):
    (tmp_path / 'empty').mkdir()
    options = QuickstartOptions(work_dir=tmp_path / 'run', data=tmp_path / 'empty', from_scratch=True, **tiny_configs)
    with pytest.raises(DataError, match='holds no image'):
        run_quickstart(options)


def test_the_command_tells_an_error_in_one_line(tmp_path: Path, fresh_python: FreshPython):
    done = fresh_python(ROOT / 'tools' / 'quickstart.py', '--data', 'nowhere', '--from-scratch', cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith('error: --data') and 'Traceback' not in done.stderr
