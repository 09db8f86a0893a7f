import json

import pytest

from mim_plugin.apis.continue_pretraining import ContinueOptions, continue_pretraining
from mim_plugin.checkpoints import read_checkpoint
from mim_plugin.errors import CheckpointError, ConfigError, DataError
from mim_plugin.testing.images import write_image_folder


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    write_image_folder(root / 'train', per_class=26)
    write_image_folder(root / 'val', per_class=8, seed=1)
    return root


def test_all_arms(folder, tmp_path, capsys):
    options = ContinueOptions(folder, tmp_path, seeds=1, epochs=4)
    summary = continue_pretraining(options)
    assert summary['images'] == 68 and set(summary['runs']) == {'heads', 'warmed', 'careless'}
    for (run,) in summary['runs'].values():
        assert run['steps'] == 4
        assert [share for share, _ in run['curve']] == [0, 0.25, 0.5, 0.75, 1]
        assert all(0 <= accuracy <= 100 for _, accuracy in run['curve'])
    starts = {run['curve'][0][1] for (run,) in summary['runs'].values()}
    assert len(starts) == 1  # one backbone, whatever the heads are
    assert not any(name.startswith('head.') for name in read_checkpoint(str(tmp_path / 'backbone.pth')))
    logs = {name: (tmp_path / f'runs/{name}_seed0').rglob('*.log') for name in summary['runs']}
    logs = {name: next(iter(found)).read_text() for name, found in logs.items()}
    assert 'The heads are in the file' in logs['heads'] and 'The heads start anew' in logs['warmed']
    assert (tmp_path / 'curves.png').stat().st_size > 1000
    assert json.loads((tmp_path / 'summary.json').read_text()) == summary
    capsys.readouterr()
    assert continue_pretraining(options)['runs'] == summary['runs']  # nothing is done again
    assert 'each of 68 images against all others' in capsys.readouterr().out


def test_what_cannot_work(folder, tmp_path):
    with pytest.raises(ConfigError, match="--arms heads,none: .'none'. is no arm; use heads, warmed, careless"):
        ContinueOptions(folder, arms=('heads', 'none'))
    with pytest.raises(ConfigError, match='at least one seed and two epochs'):
        ContinueOptions(folder, epochs=1)
    with pytest.raises(CheckpointError, match='none.pth is missing'):
        ContinueOptions(folder, checkpoint=tmp_path / 'none.pth')
    with pytest.raises(DataError, match='has no class folders'):
        continue_pretraining(ContinueOptions(folder / 'train', tmp_path))
