"""Files from the web: kept where they cannot be taken for another, checked against the hash in their name."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from mim_plugin.checkpoints.download import check_hash, download, hash_in_name
from mim_plugin.errors import CheckpointError


def publish(folder, name, value):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': {'w': torch.full((1,), value)}}, folder / name)
    return (folder / name).as_uri()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_of_one_name_are_kept_apart(tmp_path):
    addresses = [
        publish(tmp_path / folder, 'checkpoint_teacher.pth', value) for folder, value in (('s', 1.0), ('b', 2.0))
    ]
    paths = [download(address, tmp_path / 'cache', progress=False) for address in addresses]
    assert [torch.load(path)['state_dict']['w'].item() for path in paths] == [1, 2]
    assert all(path.name == 'checkpoint_teacher.pth' and path.is_relative_to(tmp_path / 'cache') for path in paths)


def test_a_file_is_fetched_once(tmp_path):
    address = publish(tmp_path / 'web', 'a.pth', 1.0)
    path = download(address, tmp_path / 'cache', progress=False)
    (tmp_path / 'web/a.pth').unlink()
    assert download(address, tmp_path / 'cache') == path


def test_the_hash_in_a_name_is_checked(tmp_path):
    publish(tmp_path / 'web', 'a.pth', 1.0)
    sha = digest(tmp_path / 'web/a.pth')
    good = (tmp_path / 'web/a.pth').rename(tmp_path / f'web/a-{sha[:8]}.pth')
    assert download(good.as_uri(), tmp_path / 'cache', progress=False) == tmp_path / f'cache/{good.name}'
    bad = good.rename(tmp_path / 'web/a-0123abcd.pth')
    with pytest.raises(CheckpointError, match=f'begins with {sha[:8]}, its name says 0123abcd; delete it'):
        download(bad.as_uri(), tmp_path / 'cache', progress=False)


@pytest.mark.parametrize('address', ['http://127.0.0.1:9/a.pth', 'file:///nowhere/a.pth'])
def test_no_answer(tmp_path, address):
    with pytest.raises(CheckpointError, match=f'{address} could not be downloaded .*by hand'):
        download(address, tmp_path, progress=False)
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.parametrize('kind', ['zip', 'safetensors', 'web page'])
def test_what_is_no_whole_checkpoint_is_not_kept(tmp_path, kind):
    address = publish(tmp_path / 'web', 'a.pth', 1.0)
    source, good = tmp_path / 'web/a.pth', (tmp_path / 'web/a.pth').read_bytes()
    if kind == 'safetensors':
        save_file({'w': torch.ones(99)}, source)
        good = source.read_bytes()
    source.write_bytes(b'<html>Busy, try later</html>' if kind == 'web page' else good[:-50])
    with pytest.raises(CheckpointError, match=rf'What {address} gave was not kept: .*(is a web page|is damaged)'):
        download(address, tmp_path / 'cache', progress=False)
    source.write_bytes(good)
    assert download(address, tmp_path / 'cache', progress=False).read_bytes() == good


def test_a_cache_folder_that_cannot_be(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(CheckpointError, match='could not be downloaded .*by hand'):
        download(publish(tmp_path / 'web', 'a.pth', 1.0), tmp_path / 'file/cache', progress=False)


def test_an_address_without_a_file(tmp_path):
    with pytest.raises(CheckpointError, match='names no file'):
        download('https://example.com/', tmp_path)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('deit_small-cd65a155.pth', 'cd65a155'),
        ('swin_20201227-1a2b3c4d.safetensors', '1a2b3c4d'),
        ('checkpoint.pth', None),
        ('model-small-p16.pth', None),
        ('cd65a155.pth', None),
        ('run-20240131.pth', None),
    ],
)
def test_hash_in_name(tmp_path, name, expected):
    assert hash_in_name(f'some/folder/{name}') == expected
    (tmp_path / name).write_bytes(b'something')
    if expected is None:
        check_hash(tmp_path / name)
