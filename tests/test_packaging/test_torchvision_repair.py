"""The repair of a torchvision whose library does not load, on small stand-ins that fail like it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mim_plugin.apis import torchvision_repair

EXTENSION = 'import torch\n\ndef _has_ops():\n    return False\n'
# torch too: importing the real one in six processes would take half a minute.
TORCH = """
class library:
    declared = set()
    class Library:
        def __init__(self, namespace, kind):
            self.namespace = namespace
        def define(self, schema):
            library.declared.add(self.namespace + '::' + schema.partition('(')[0])
    def register_fake(name):
        if name not in library.declared:
            raise RuntimeError(f'operator {name} does not exist')
        return lambda function: function
"""
DESCRIBING = """
from . import extension
import torch
@torch.library.register_fake('torchvision::nms')
def meta_nms(dets, scores, iou_threshold):
    return dets
@torch.library.register_fake('torchvision::qnms')
def meta_qnms(dets, scores, iou_threshold):
    return dets
"""


@pytest.fixture
def torchvision(tmp_path, monkeypatch):
    package = tmp_path / 'site' / 'torchvision'
    package.mkdir(parents=True)
    (package / 'extension.py').write_text(EXTENSION)
    (package / '__init__.py').write_text(DESCRIBING)
    (package.parent / 'torch.py').write_text(TORCH)
    monkeypatch.setenv('PYTHONPATH', str(package.parent))
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    return package


def test_repair_makes_it_import_and_leaves_the_installers_copy(torchvision, tmp_path):
    cached = tmp_path / 'cached_extension.py'
    os.link(torchvision / 'extension.py', cached)
    assert 'nms does not exist' in torchvision_repair.import_error()
    assert 'declared' in torchvision_repair.repair()
    assert torchvision_repair.import_error() is None
    assert cached.read_text() == EXTENSION
    assert torchvision_repair.repair() == 'torchvision imports.'
    assert sorted(path.name for path in torchvision.glob('*.py')) == ['__init__.py', 'extension.py']


def test_other_faults_are_reported(torchvision):
    (torchvision / '__init__.py').write_text('raise ImportError("made for another Python")')
    with pytest.raises(RuntimeError, match='made for another Python'):
        torchvision_repair.repair()
    script = Path(torchvision_repair.__file__)
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith('error: torchvision does not import')
