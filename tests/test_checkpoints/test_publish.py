"""Publishing: what stays, what goes, and the hash in the name."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from mim_plugin.checkpoints import load_pretrained, read_checkpoint
from mim_plugin.checkpoints.download import check_hash
from mim_plugin.checkpoints.publish import publish_checkpoint
from mim_plugin.errors import CheckpointError

from .tiny import assert_same, make_ibot, official_file

ROOT = Path(__file__).parents[2]
META = {
    'cfg': "model = dict(type='IBOT')\n",
    'epoch': 3,
    'dataset_meta': {'classes': ('a', 'b'), 'palette': [[0, 1, 2]]},
    'mean': np.ones(2),
}


@pytest.fixture
def trained(tmp_path):
    """A checkpoint as a training writes it, and its model."""
    model = make_ibot()
    optimizer = torch.optim.AdamW(model.parameters())
    content = {'meta': META, 'state_dict': model.state_dict(), 'optimizer': optimizer.state_dict(), 'message_hub': {}}
    torch.save(content, tmp_path / 'epoch_3.pth')
    return model, tmp_path / 'epoch_3.pth'


def assert_hash_in_name(path):
    assert path.stem.rpartition('-')[2] == hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    check_hash(path)


def test_pth_keeps_weights_and_meta_and_nothing_else(trained, tmp_path):
    model, source = trained
    published = publish_checkpoint(source, tmp_path / 'out/ibot.pth')
    assert published.path.parent == tmp_path / 'out' and published.path.name.startswith('ibot-')
    assert published.left_out == ('message_hub', 'optimizer') and 'left out: message_hub, optimizer' in str(published)
    assert_hash_in_name(published.path)
    content = read_checkpoint(published.path)
    assert content.keys() == {'state_dict', 'meta'}
    assert content['meta'].keys() == META.keys() and content['meta']['dataset_meta'] == META['dataset_meta']
    assert content['state_dict'].keys() == model.state_dict().keys()
    assert_same(content['state_dict'], model.state_dict())
    assert [path.name for path in (tmp_path / 'out').iterdir()] == [published.path.name]


def test_safetensors_keeps_the_same(trained, tmp_path):
    model, source = trained
    published = publish_checkpoint(source, tmp_path / 'ibot.safetensors')
    assert_hash_in_name(published.path)
    content = read_checkpoint(published.path)
    assert_same(content['state_dict'], model.state_dict())
    assert content['meta']['cfg'] == META['cfg'] and content['meta']['epoch'] == 3
    assert content['meta']['dataset_meta'] == {'classes': ['a', 'b'], 'palette': [[0, 1, 2]]}
    assert content['meta']['mean'] == [1.0, 1.0]


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_a_published_file_starts_a_model(trained, tmp_path, ending):
    model, source = trained
    other = make_ibot(seed=1)
    report = load_pretrained(other, publish_checkpoint(source, tmp_path / f'a.{ending}').path)
    assert_same(other.state_dict(), model.state_dict())
    assert not report.kept and not report.unused


def test_published_again_it_has_one_hash(trained):
    _, source = trained
    first = publish_checkpoint(source)
    assert first.path.name.startswith('epoch_3-') and first.path.parent == source.parent
    second = publish_checkpoint(first.path)
    assert second.path.stem.count('-') == 1 and second.left_out == ()


def test_official_files_keep_their_names(tmp_path):
    official_file(make_ibot(), tmp_path / 'checkpoint.pth', optimizer={'state': {}})
    published = publish_checkpoint(tmp_path / 'checkpoint.pth')
    assert set(published.kept) == {'student', 'teacher', 'ibot_loss'}
    assert 'center' in read_checkpoint(published.path)['ibot_loss']
    assert {'optimizer', 'args', 'epoch'} <= set(published.left_out)
    with pytest.raises(CheckpointError, match='holds student, teacher, ibot_loss, of which a .safetensors'):
        publish_checkpoint(tmp_path / 'checkpoint.pth', tmp_path / 'a.safetensors')


def test_a_bare_dict_of_tensors(tmp_path):
    torch.save({'w': torch.ones(2)}, tmp_path / 'bare.pth')
    published = publish_checkpoint(tmp_path / 'bare.pth', tmp_path / 'b.safetensors')
    assert published.kept == ('state_dict',) and published.left_out == ()
    assert read_checkpoint(published.path)['state_dict']['w'].sum() == 2


def test_a_view_is_written_without_the_rest_of_its_memory(tmp_path):
    torch.save({'state_dict': {'w': torch.zeros(1_000_000)[:2]}}, tmp_path / 'a.pth')
    assert publish_checkpoint(tmp_path / 'a.pth').path.stat().st_size < 10_000 < (tmp_path / 'a.pth').stat().st_size


def test_bad_input(trained, tmp_path):
    _, source = trained
    with pytest.raises(CheckpointError, match='must end in .pth or .safetensors'):
        publish_checkpoint(source, tmp_path / 'a.bin')
    torch.save({'epoch': 1, 'optimizer': {}}, tmp_path / 'no_weights.pth')
    with pytest.raises(CheckpointError, match="has no weights, only .'epoch', 'optimizer'"):
        publish_checkpoint(tmp_path / 'no_weights.pth')
    with pytest.raises(CheckpointError, match='does not exist'):
        publish_checkpoint(tmp_path / 'none.pth')
    torch.save({}, tmp_path / 'nothing.pth')
    with pytest.raises(CheckpointError, match='has no weights'):
        publish_checkpoint(tmp_path / 'nothing.pth')
    with pytest.raises(CheckpointError, match=r'a\.pth cannot be written .*name a file in a folder'):
        publish_checkpoint(source, source / 'a.pth')  # below a file
    assert not list(tmp_path.rglob('*.tmp'))


def test_what_was_cut_short_does_not_stay(trained, tmp_path, monkeypatch):
    def full(content, path):
        path.write_bytes(b'half')
        raise RuntimeError('PytorchStreamWriter failed writing file')

    _, source = trained
    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(CheckpointError, match='cannot be written'):
        publish_checkpoint(source, tmp_path / 'out/a.pth')
    assert not list((tmp_path / 'out').iterdir())


def test_the_command(trained, tmp_path, fresh_python):
    _, source = trained
    command = ROOT / 'tools/model_converters/publish.py'
    done = fresh_python(command, source, tmp_path / 'ibot.pth')
    (path,) = tmp_path.glob('ibot-*.pth')
    assert done.returncode == 0 and done.stdout.startswith(f'{path} (') and 'left out: message_hub' in done.stdout
    failed = fresh_python(command, tmp_path / 'none.pth')
    assert failed.returncode == 2 and failed.stderr.startswith('error: Checkpoint')
