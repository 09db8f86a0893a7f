"""Whole pickled modules are read without their code."""

import collections
import os
import pickle
import sys
import types

import pytest
import torch
from torch import nn

from mim_plugin.checkpoints.foreign_module import read_foreign_module
from mim_plugin.errors import CheckpointError


@pytest.fixture
def foreign(monkeypatch):
    """A module of classes of a package that exists only while it is pickled; gives (module, forget)."""
    package, encoder = types.ModuleType('far_away'), types.ModuleType('far_away.encoder')
    for name in ('Conv', 'Encoder', 'State'):
        kind = type(name, (object if name == 'State' else nn.Module,), {'__module__': 'far_away.encoder'})
        setattr(encoder, name, kind)
    monkeypatch.setitem(sys.modules, 'far_away', package)
    monkeypatch.setitem(sys.modules, 'far_away.encoder', encoder)

    conv = encoder.Conv()
    conv.w, conv.b = nn.Parameter(torch.randn(4, 3, 7, 7)), nn.Parameter(torch.randn(4).half())
    conv.device, conv.kind = torch.device('cpu'), torch.float32
    module = encoder.Encoder()
    module.register_buffer('steps', torch.arange(6).view(2, 3).t())  # not contiguous
    module.register_buffer('nothing', None)
    module.options = encoder.State()
    module.options.names = {'a', 'b'}
    module.blocks = nn.Sequential(collections.OrderedDict(input=conv, relu=nn.ReLU(), norm=nn.BatchNorm2d(4)))
    module.tied = module.blocks.input  # the same layer under two names

    def forget():
        monkeypatch.delitem(sys.modules, 'far_away')
        monkeypatch.delitem(sys.modules, 'far_away.encoder')

    return module, forget


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('protocol', [2, 4])
def test_both_containers_give_the_state_dict(foreign, tmp_path, zipped, protocol):
    module, forget = foreign
    path = tmp_path / 'encoder.pkl'
    torch.save(module, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    expected = module.state_dict()
    forget()
    read = read_foreign_module(path)
    assert read.class_name == 'far_away.encoder.Encoder'
    assert 'far_away' not in sys.modules
    assert list(read.state_dict) == list(expected)
    for name, value in expected.items():
        assert read.state_dict[name].dtype == value.dtype and read.state_dict[name].equal(value)
        assert not read.state_dict[name].requires_grad


class Malicious:
    """Its pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def write_legacy(path, payload):
    """The older container around any pickle."""
    with path.open('wb') as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}):
            pickle.dump(part, file, protocol=2)
        file.write(payload)
        pickle.dump([], file, protocol=2)


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('function', [os.mkdir, eval, exec, __import__])
def test_no_function_of_a_file_is_called(tmp_path, zipped, function):
    marker = tmp_path / 'called'
    argument = str(marker) if function is os.mkdir else f'__import__("os").mkdir({str(marker)!r})'
    evil = Malicious(function, argument)
    path = tmp_path / 'evil.pkl'
    module = nn.Linear(2, 2)
    module.evil = evil
    module._parameters['more'] = evil
    torch.save(module, path, _use_new_zipfile_serialization=zipped)
    assert sorted(read_foreign_module(path).state_dict) == ['bias', 'weight']
    torch.save(evil, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match='without weights'):
        read_foreign_module(path)
    assert not marker.exists()


def test_attributes_of_real_functions_and_classes_are_not_set(tmp_path):
    rebuild = torch._utils._rebuild_tensor_v2
    before = dict(vars(rebuild)), rebuild.__defaults__
    # GLOBAL rebuild, state {'x': 1} (or slots {'__defaults__': ()}), BUILD
    for state in ({'x': 1}, (None, {'__defaults__': ()})):
        dumped = pickle.dumps(state, protocol=2)[2:-1]
        write_legacy(tmp_path / 'f.pkl', b'\x80\x02ctorch._utils\n_rebuild_tensor_v2\n' + dumped + b'b.')
        with pytest.raises(CheckpointError, match='damaged'):
            read_foreign_module(tmp_path / 'f.pkl')
    assert (dict(vars(rebuild)), rebuild.__defaults__) == before


def test_a_module_within_itself_ends(tmp_path):
    module = nn.Linear(2, 2)
    module._modules['self'] = module
    torch.save(module, tmp_path / 'm.pkl')
    assert list(read_foreign_module(tmp_path / 'm.pkl').state_dict) == ['weight', 'bias']


def test_other_files_are_refused_with_one_sentence(tmp_path):
    path = tmp_path / 'x.pkl'
    with pytest.raises(CheckpointError, match='does not exist'):
        read_foreign_module(path)
    torch.save({'weight': torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match='holds an object of type dict, not a pickled module'):
        read_foreign_module(path)
    torch.save(nn.Linear(200, 200), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match='damaged'):
        read_foreign_module(path)
    torch.jit.script(nn.Linear(2, 2)).save(str(path))
    with pytest.raises(CheckpointError, match='TorchScript'):
        read_foreign_module(path)
