"""Configs in a user's folder that inherit from a toolbox and replace the backbone."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile

import pytest
import torch
from mmengine.config import Config

import mim_plugin
from mim_plugin.registry import MODELS
from tests.test_toolboxes.conftest import ROOT, TOOLBOXES, shipped

CHECKPOINT = {'mmseg': 'iter_2.pth', 'mmdet': 'epoch_1.pth', 'mmpretrain': 'epoch_1.pth'}


def last_line(done):
    return done.stderr.strip().splitlines()[-1]


def pretrained(config, folder):
    """Options of a script that let the backbone start from a file, and the beginning of the file's hash."""
    cfg = Config.fromfile(config).model.backbone
    torch.save({'state_dict': MODELS.build(cfg).state_dict()}, folder / 'backbone.pth')
    key = 'model.backbone.init_cfg'
    digest = hashlib.sha256((folder / 'backbone.pth').read_bytes()).hexdigest()
    return [f'{key}.type=Pretrained', f'{key}.checkpoint=backbone.pth'], digest[:16]


def assert_named_in_the_log(folder, digest):
    """The run's own log file tells which weights it started from, and the version that read them."""
    (log,) = folder.glob('*/*.log')
    text = log.read_text()
    assert f'Checkpoint backbone.pth: sha256 {digest}, read by mim_plugin {mim_plugin.__version__}' in text
    assert text.count(digest) == 1


@pytest.mark.parametrize('name', TOOLBOXES)
def test_our_train_script(name, user_folder):
    pytest.importorskip(name)
    options, digest = pretrained(f'swap_{name}.py', user_folder)
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools/train.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.main([f'swap_{name}.py', '--cfg-options', f'experiment_name={name}_{os.urandom(4).hex()}', *options])
    work_dir = user_folder / f'work_dirs/swap_{name}'
    assert (work_dir / CHECKPOINT[name]).is_file()
    assert_named_in_the_log(work_dir, digest)
    (log,) = work_dir.glob('*/*.log')
    assert f'INFO - mim_plugin {mim_plugin.__version__}\n' in log.read_text()


@pytest.mark.parametrize(
    ('name', 'config'),
    [
        ('mmseg', 'swap_mmseg_by_path.py'),
        pytest.param('mmdet', 'swap_mmdet.py', marks=pytest.mark.slow),
        pytest.param('mmpretrain', 'swap_mmpretrain.py', marks=pytest.mark.slow),
        pytest.param('mmdet', 'swap_mmdet_by_path.py', marks=pytest.mark.slow),
    ],
)
def test_train_script_of_the_toolbox(name, config, user_folder, python):
    pytest.importorskip(name)
    options, digest = pretrained(config, user_folder)
    done = python(shipped(name) / 'tools/train.py', config, '--work-dir', 'work', '--cfg-options', *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (user_folder / 'work' / CHECKPOINT[name]).is_file()
    assert_named_in_the_log(user_folder / 'work', digest)


def test_why_mmseg_is_a_path_there(user_folder, python):
    """What docs/backbone_swap.md says of names with two colons in a script that does not import mim_plugin first."""
    pytest.importorskip('mmseg')
    read = "from mmengine.config import Config; print(Config.fromfile('swap_mmseg.py').model.type)"
    assert python('-c', f'import mim_plugin; {read}').stdout.strip() == 'EncoderDecoder'
    found = python('-c', read)
    # The original family of packages knows mmseg under the name that mmengine looks for.
    assert found.returncode == 0 or 'mmsegmentation is not installed' in last_line(found)


BOTH = "_base_ = ['mmseg::_base_/default_runtime.py', 'mim_plugin::_base_/models/ibot_vit-small-p16.py']\n"
READ = (
    'import mim_plugin; from mmengine.config import Config; cfg = Config.fromfile("both.py"); '
    'print(mim_plugin.__file__, cfg.default_scope, cfg.model.type)'
)


def read_both(python, folder, path=ROOT):
    pytest.importorskip('mmseg')
    (folder / 'both.py').write_text(BOTH)
    done = python('-c', READ, path=path)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_names_with_two_colons_of_a_checkout(user_folder, python):
    assert read_both(python, user_folder) == [str(ROOT / 'mim_plugin/__init__.py'), 'mmseg', 'IBOT']


BUILD = 'from setuptools import build_meta as b; import sys; print(getattr(b, sys.argv[1])(sys.argv[2]))'


def built(hook, tmp_path_factory):
    """A wheel of the tracked files, unpacked into a folder as pip does it."""
    folder = tmp_path_factory.mktemp(hook)
    copy, site = folder / 'checkout', folder / 'site'
    copy.mkdir()
    listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    wanted = ('mim_plugin/', 'configs/', 'tools/', 'docs/')
    for name in listed.split('\0'):
        if name and (name.startswith(wanted) or '/' not in name) and (ROOT / name).exists():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_symlink():
                target.symlink_to((ROOT / name).readlink())
            else:
                target.write_bytes((ROOT / name).read_bytes())
    run = subprocess.run([sys.executable, '-c', BUILD, hook, str(folder)], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    with zipfile.ZipFile(folder / run.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    return copy, site


def test_names_with_two_colons_of_a_wheel(user_folder, python, tmp_path_factory):
    _, site = built('build_wheel', tmp_path_factory)
    assert read_both(python, user_folder, site) == [str(site / 'mim_plugin/__init__.py'), 'mmseg', 'IBOT']
    assert not (site / 'mim_plugin/.mim/configs').is_symlink()


# The checkout itself may be installed, too.
FORGET_INSTALLED = """
import site, sys
for name in [name for name in sys.modules if name.startswith('__editable___mim_plugin')]:
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, '__module__', '') != name]
    del sys.modules[name]
"""


def test_names_with_two_colons_of_an_editable_installation(user_folder, python, tmp_path_factory):
    copy, site = built('build_editable', tmp_path_factory)
    # A .pth file counts in a folder of packages only, which PYTHONPATH is not.
    start = FORGET_INSTALLED + f'sys.path.insert(0, {str(site)!r})\nsite.addsitedir({str(site)!r})\n'
    (user_folder / 'sitecustomize.py').write_text(start)
    found = read_both(python, user_folder, user_folder)
    assert found == [str(copy / 'mim_plugin/__init__.py'), 'mmseg', 'IBOT']
