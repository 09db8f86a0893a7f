"""What a wheel and an sdist carry, and that names and versions agree across the files of the project."""

import configparser
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.hub import get_config
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ('mim_plugin', 'configs', 'tools', 'docs')
FILES = ('constraints.txt', 'requirements.txt', 'setup.cfg', 'pyproject.toml', 'MANIFEST.in', 'model-index.yml')
SHIPPED = (*FOLDERS, *FILES, 'LICENSE', 'README.md')
BUILD = 'from setuptools import build_meta as b; b.build_sdist("dist"); b.build_wheel("dist")'


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Names of the files of a wheel and of an sdist that are built from the tracked files."""
    copy = tmp_path_factory.mktemp('checkout')
    listed = subprocess.run(['git', 'ls-files', '-z', '--', *SHIPPED], cwd=ROOT, capture_output=True, check=True)
    names = [name for name in listed.stdout.decode().split('\0') if name and (ROOT / name).exists()]
    for name in names:
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / name
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            target.write_bytes(source.read_bytes())
    run = subprocess.run([sys.executable, '-c', BUILD], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (wheel,) = (copy / 'dist').glob('*.whl')
    (sdist,) = (copy / 'dist').glob('*.tar.gz')
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        top = f'{tar.getnames()[0]}/'
        return set(names), set(archive.namelist()), {m.name.removeprefix(top) for m in tar if m.isfile()}


def test_wheel_carries_package_configs_and_tools(built):
    names, wheel, _ = built
    package = {name for name in names if name.startswith('mim_plugin/') and '/.mim' not in name}
    addressed = {f'mim_plugin/.mim/{name}' for name in names if name.startswith(('configs/', 'tools/'))}
    assert package and addressed
    assert package | addressed | {'mim_plugin/.mim/model-index.yml'} <= wheel


def test_sdist_carries_what_a_build_needs(built):
    names, _, sdist = built
    assert {name for name in names if '/.mim' not in name and not name.endswith('.gitignore')} <= sdist
    assert 'mim_plugin/.mim/model-index.yml' in sdist


def test_distributions_carry_no_caches(built):
    _, wheel, sdist = built
    assert not [name for name in wheel | sdist if name.endswith('.pyc') or '__pycache__' in name]


def test_configs_have_an_address(tmp_path):
    """`mim_plugin::` works from a checkout, an editable install and a wheel."""
    import mim_plugin  # noqa: F401  registers the address

    config = tmp_path / 'config.py'
    config.write_text("_base_ = 'mim_plugin::_base_/default_runtime.py'\nlog_level = 'ERROR'\n")
    loaded = Config.fromfile(config)
    assert loaded.default_scope == 'mim_plugin'
    assert loaded.log_level == 'ERROR'


def test_model_index_lists_every_recipe():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models = [model for name in index['Import'] for model in yaml.safe_load((ROOT / name).read_text())['Models']]
    listed = {model['Config'] for model in models}
    for model in models:
        assert model['Name'] == Path(model['Config']).stem
    folders = [ROOT / Path(name).parent for name in index['Import']]
    recipes = [path for folder in folders for path in folder.glob('*.py')]
    assert listed == {str(path.relative_to(ROOT)) for path in recipes if 'custom' not in path.stem}


def test_hub_finds_published_weights():
    import mim_plugin  # noqa: F401  registers the address

    config = get_config('mim_plugin::ibot/ibot_vit-small-p16_16xb64-coslr-800e_in1k.py', pretrained=True)
    assert config.model_path.endswith('/vits_16/checkpoint_teacher.pth')
    assert config.model.type == 'IBOT'


def read_constraints():
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith('#')]


def requirements():
    """Names of all requirements of setup.cfg, our own extras aside."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'setup.cfg')
    lists = [parser['options']['install_requires'], *parser['options.extras_require'].values()]
    names = [Requirement(line).name for text in lists for line in text.split('\n') if line and line[0] != '#']
    return {name for name in names if name != 'mim_plugin'}


@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12'])
def test_constraints_pin_every_requirement_once(python):
    system = {'python_version': python, 'python_full_version': f'{python}.1'}
    system |= {'os_name': 'posix', 'sys_platform': 'linux'}
    pinned = [r.name for r in read_constraints() if r.marker is None or r.marker.evaluate(system)]
    assert len(pinned) == len(set(pinned))
    assert requirements() - {'pip'} <= set(pinned)


def test_constraints_are_exact():
    for requirement in read_constraints():
        assert re.fullmatch(r'==[^*,]+', str(requirement.specifier)), requirement


def test_hard_requirements_name_no_family():
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'setup.cfg')
    assert 'mm' not in parser['options']['install_requires'].replace('mim', '')
