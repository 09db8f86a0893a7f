import argparse
import contextlib
import fractions
import os
import pathlib
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mim_plugin.checkpoints import read_checkpoint
from mim_plugin.checkpoints.read import UNSAFE_VARIABLE
from mim_plugin.errors import CheckpointError


class Touch:
    """A pickle of this runs a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


class Call:
    def __init__(self, function, *args):
        self.recipe = function, args

    def __reduce__(self):
        return self.recipe


@pytest.mark.parametrize('zipped', [True, False])
def test_what_real_checkpoints_contain_is_read(tmp_path, zipped):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    content = {
        'student': {'weight': torch.arange(3.0)},
        'args': argparse.Namespace(lr=0.1, output_dir=pathlib.PosixPath('/out'), scale=(0.14, 1)),
        'message_hub': {'log_scalars': {'loss': history, 'empty': HistoryBuffer()}},
        'numbers': [np.float64(3.5), np.int64(4), np.bool_(True), np.str_('a')],
        'array': np.arange(6, dtype=np.float32).reshape(2, 3),
        'slice': slice(1, 2),
    }
    torch.save(content, tmp_path / 'a.pth', _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(tmp_path / 'a.pth')
    assert torch.equal(read['student']['weight'], torch.arange(3.0))
    assert read['args'].lr == 0.1 and str(read['args'].output_dir) == '/out'
    buffer = read['message_hub']['log_scalars']['loss']
    assert buffer.mean() == 1.5 and buffer.statistics('max') == 2
    assert read['numbers'] == [3.5, 4, True, 'a']
    assert np.array_equal(read['array'], content['array']) and read['array'].dtype == np.float32


def test_the_allow_list_does_not_outlive_the_read(tmp_path):
    before = torch.serialization.get_safe_globals()
    torch.save({'args': argparse.Namespace()}, tmp_path / 'a.pth')
    read_checkpoint(tmp_path / 'a.pth')
    assert set(torch.serialization.get_safe_globals()) == set(before)


def test_code_in_a_pickle_is_refused_by_name_and_not_run(tmp_path, monkeypatch):
    target = tmp_path / 'ran'
    torch.save({'state_dict': {}, 'x': Touch(target)}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match=r'system.*allow_unsafe=True.*' + UNSAFE_VARIABLE):
        read_checkpoint(tmp_path / 'evil.pth')
    assert not target.exists()
    monkeypatch.setenv(UNSAFE_VARIABLE, '1')
    read_checkpoint(tmp_path / 'evil.pth')
    assert target.exists()


@pytest.mark.parametrize(
    ('recipe', 'name'),
    [
        (Call(eval, '1'), 'eval'),
        (Call(getattr, np.ndarray, 'tofile'), 'ndarray.tofile'),
        (Call(getattr, HistoryBuffer, '__init__'), 'HistoryBuffer.__init__'),
        (fractions.Fraction(1, 2), 'fractions.Fraction'),
        (np.array(['a', 1], dtype=object), r'numpy\.dtypes\.ObjectDType'),
    ],
)
def test_other_globals_are_named(tmp_path, recipe, name):
    torch.save({'x': recipe}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(tmp_path / 'a.pth')
    if isinstance(recipe, fractions.Fraction):
        assert read_checkpoint(tmp_path / 'a.pth', allow_unsafe=True)['x'] == recipe


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_refused(tmp_path, protocol):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps({'x': Touch(tmp_path / 'ran')}, protocol))
    with pytest.raises(CheckpointError, match='asks for posix.system' if protocol > 1 else 'not a checkpoint'):
        read_checkpoint(tmp_path / 'a.pkl')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('zipped', [True, False])
def test_newer_pickle_protocols(tmp_path, zipped):
    options = {'pickle_protocol': 4, '_use_new_zipfile_serialization': zipped}
    torch.save({'w': torch.ones(2), 'x': Touch(tmp_path / 'ran')}, tmp_path / 'a.pth', **options)
    with pytest.raises(CheckpointError, match=r'asks for posix\.system, which'):
        read_checkpoint(tmp_path / 'a.pth')
    torch.save({'w': torch.ones(2)}, tmp_path / 'b.pth', **options)
    with pytest.raises(CheckpointError, match='save it anew with the default protocol'):
        read_checkpoint(tmp_path / 'b.pth')


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', 'is empty'),
        (b'\n <!DOCTYPE html><html>404</html>', 'web page'),
        (b'\xef\xbb\xbf<html>', 'web page'),
        ('<!-- not found -->\n<html>ü'.encode() + b'.' * 600, 'web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'git lfs pull'),
        (b'{"train_loss": 1.0, "epoch": 3}\n', 'text file'),
        (bytes(range(256)), 'damaged'),
        (b'PK', 'damaged'),
        (b'\x89PNG\r\n\x1a\n' + bytes(90), 'is a picture'),
        (b'\x1f\x8b\x08' + bytes(90), 'compressed with gzip; unpack it'),
        (bytes(257) + b'ustar' + bytes(250), 'a tar archive: unpack it'),
        (pickle.dumps({'w': np.ones(3)}, 2), 'a pickle that torch.save did not write'),
    ],
)
def test_what_is_no_checkpoint_is_said_in_words(tmp_path, content, words):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(tmp_path / 'a.pth')


def test_a_small_file_that_would_fill_the_memory_is_refused(tmp_path):
    torch.save({'w': torch.zeros(1 << 20)}, tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth') as plain, \
            zipfile.ZipFile(tmp_path / 'b.pth', 'w', zipfile.ZIP_DEFLATED) as packed:  # fmt: skip
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    with pytest.raises(CheckpointError, match=r'b\.pth \([\d,]+ bytes\) would unpack to 4,\d+,\d+ bytes'):
        read_checkpoint(tmp_path / 'b.pth')


def test_archives_of_others(tmp_path):
    np.savez(tmp_path / 'a.npz', w=np.ones(3))
    with pytest.raises(CheckpointError, match=r'a zip archive that torch did not write \(it holds w\.npy\)'):
        read_checkpoint(tmp_path / 'a.npz')


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (torch.zeros(1).expand(1 << 20, 1 << 15), 'claims to hold tensors of 137,438,953,472 bytes'),
        (Call(torch.Tensor, 1 << 27), 'claims to hold tensors of 536,870,912 bytes'),
        (Call(np._core.multiarray._reconstruct, np.ndarray, (1 << 20,), 'b'), r'asks for numpy\.ndarray\(1048576,\)'),
        (Call(bytearray, 1 << 62), 'asks for more memory than there is'),
    ],
)
def test_a_pickle_that_claims_to_be_large_is_refused(tmp_path, content, words):
    torch.save({'state_dict': {'w': torch.ones(2), 'x': [content]}}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(tmp_path / 'a.pth')


def test_lists_within_themselves_end(tmp_path):
    content = {'w': torch.ones(2), 'list': []}
    content['list'].append(content)
    torch.save(content, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['w'].sum() == 2


def test_a_tar_archive_that_begins_like_a_pickle(tmp_path):
    content = bytearray(tarfile.TarInfo('x').tobuf(tarfile.USTAR_FORMAT))
    content[0], content[257:265] = 0x80, bytes(8)  # the oldest form has no magic word
    content[148:156] = b' ' * 8
    content[148:156] = b'%06o\0 ' % sum(content)
    (tmp_path / 'a.pth').write_bytes(bytes(content) + bytes(1024))
    with pytest.raises(CheckpointError, match='a tar archive: unpack it'):
        read_checkpoint(tmp_path / 'a.pth')


def test_a_zip_archive_with_a_forged_table_is_called_damaged(tmp_path):
    torch.save({'w': torch.ones(2)}, tmp_path / 'a.pth')
    content = (tmp_path / 'a.pth').read_bytes()
    for at in range(content.index(b'PK\x01\x02'), len(content), 7):
        (tmp_path / 'b.pth').write_bytes(content[:at] + b'\xff\xff' + content[at + 2 :])
        with contextlib.suppress(CheckpointError):  # some bytes of it do not matter
            read_checkpoint(tmp_path / 'b.pth')


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='is a pipe or a device'):
        read_checkpoint(tmp_path / 'a.pth')


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(CheckpointError, match='does not exist'):
        read_checkpoint(tmp_path / 'nothing.pth')
    with pytest.raises(CheckpointError, match='is a folder'):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize('zipped', [True, False])
def test_every_truncation_is_called_damaged(tmp_path, zipped):
    torch.save({'w': torch.zeros(40), 'args': argparse.Namespace(a=1)}, tmp_path / 'a.pth',
               _use_new_zipfile_serialization=zipped)  # fmt: skip
    whole = (tmp_path / 'a.pth').read_bytes()
    for size in range(2, len(whole), 61):
        (tmp_path / 'cut.pth').write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / 'cut.pth')


def test_safetensors_and_its_truncation(tmp_path):
    save_file({'w': torch.arange(4.0)}, tmp_path / 'a.safetensors', {'version': '1'})
    read = read_checkpoint(tmp_path / 'a.safetensors')
    assert torch.equal(read['state_dict']['w'], torch.arange(4.0)) and read['meta'] == {'version': '1'}
    whole = (tmp_path / 'a.safetensors').read_bytes()
    for size in (5, 20, len(whole) - 1):
        (tmp_path / 'cut.safetensors').write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / 'cut.safetensors')


def test_objects_that_are_no_dict(tmp_path):
    torch.save(torch.zeros(2), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='Tensor, not a dict'):
        read_checkpoint(tmp_path / 'a.pth')
    traced = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    traced.save(tmp_path / 'b.pth')
    with pytest.raises(CheckpointError, match='TorchScript'):
        read_checkpoint(tmp_path / 'b.pth')
