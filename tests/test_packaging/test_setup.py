"""tools/setup.sh with a stand-in for uv: what it asks for, that it asks once, and what it says when it cannot go on.

No package is downloaded: the stand-in notes its arguments and leaves the metadata of what it was asked to install.
"""

import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ('setup.cfg', 'pyproject.toml', 'constraints.txt', 'tools/setup.sh', 'tools/build_mmcv_ops.sh')
UV = """#!{python}
import os, pathlib, re, sys
arguments = sys.argv[1:]
with open({log!r}, 'a') as log:
    print(*arguments, file=log)
python = arguments[arguments.index('--python') + 1]
(site,) = (pathlib.Path(python).parent.parent / 'lib').glob('python3*/site-packages')
found = dict(match.groups() for match in map(re.compile(r'(torch\\w*)==([\\d.]+)$').match, arguments) if match)
if '-e' in arguments:
    found |= dict(mim_plugin='0.1.0', **({{}} if 'onedl' not in arguments[-1] else {{'onedl-mmengine': '0.10.12'}}))
for name, version in found.items():
    folder = site / f'{{name.replace("-", "_")}}-{{version}}.dist-info'
    folder.mkdir(exist_ok=True)
    (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n')
"""


class Sandbox:
    """A copy of the files of the setup, with commands of our own first on the PATH."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / 'uv.log'
        for name in NEEDED:
            target = folder / 'checkout' / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        (folder / 'bin').mkdir()
        self.command('uv', UV.format(python=sys.executable, log=str(self.log)))
        self.command('nvidia-smi', '#!/bin/sh\necho "GPU 0: stand-in"\n')  # with a GPU no index for CPUs is looked for
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(('PIP_', 'UV_', 'MIM_'))}
        self.env |= {'PATH': f'{folder / "bin"}:{self.env["PATH"]}', 'PIP_CONFIG_FILE': os.devnull, 'PIP_NO_INDEX': '1'}
        self.env |= {'PIP_FIND_LINKS': str(self.wheels()), 'MIM_PYTHON': sys.executable}

    def command(self, name, text):
        path = self.folder / 'bin' / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def wheels(self):
        """A folder with the one small package that setup.sh downloads to see that there is an index."""
        lines = (ROOT / 'constraints.txt').read_text().splitlines()
        (version,) = [line.removeprefix('packaging==') for line in lines if line.startswith('packaging==')]
        folder = self.folder / 'wheels'
        folder.mkdir()
        info = f'packaging-{version}.dist-info'
        with zipfile.ZipFile(folder / f'packaging-{version}-py3-none-any.whl', 'w') as wheel:
            wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: packaging\nVersion: {version}\n')
            wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
            wheel.writestr(f'{info}/RECORD', '')
        return folder

    def setup(self, *arguments, **env):
        command = ['bash', str(self.folder / 'checkout' / 'tools' / 'setup.sh'), *arguments]
        return subprocess.run(command, env=self.env | env, capture_output=True, text=True, cwd=self.folder)

    def asked(self):
        """What uv was asked for since the last call."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def environment(self, name, *distributions):
        """An environment that pretends to hold distributions."""
        folder = self.folder / name
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(folder)], check=True)
        (site,) = (folder / 'lib').glob('python3*/site-packages')
        for requirement in distributions:
            package, _, version = requirement.partition('==')
            info = site / f'{package.replace("-", "_")}-{version}.dist-info'
            info.mkdir()
            (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n')
        return folder


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


def error_of(result):
    """The last line, which must be the one sentence that says what is wrong."""
    assert result.returncode != 0
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith('error: '), result.stderr
    return line


def test_installs_pinned_then_does_nothing_until_more_is_wanted(sandbox):
    result = sandbox.setup('--print-python')
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(sandbox.folder / 'checkout' / '.venv' / 'bin' / 'python')
    torch, project = sandbox.asked()
    assert f'--find-links {sandbox.env["PIP_FIND_LINKS"]}' in torch
    assert torch.endswith('--no-deps torch==2.13.0')
    assert project.endswith('checkout[dev,quickstart,segmentation,onedl-segmentation]')
    assert f'-c {sandbox.folder}/checkout/constraints.txt' in project

    start = time.monotonic()
    again = sandbox.setup()
    assert time.monotonic() - start < 5
    assert again.returncode == 0 and 'up to date' in again.stderr
    assert sandbox.asked() == []

    more = sandbox.setup('--extra', 'classification')
    assert more.returncode == 0, more.stderr
    torchvision, project = sandbox.asked()
    assert torchvision.endswith('--no-deps torchvision==0.28.0')
    assert project.endswith('classification,onedl-segmentation,onedl-classification]')
    assert 'is ready' in sandbox.setup('--extra', 'export').stderr
    assert sandbox.asked()[-1].endswith('checkout[dev,quickstart,segmentation,export,onedl-segmentation]')
    assert 'is ready' in sandbox.setup('--extra', 'convert').stderr
    beside = sandbox.asked()[-1]
    assert beside.endswith(f'-c {sandbox.folder}/checkout/constraints.txt transformers tokenizers')
    assert f'--no-deps --upgrade --target {sandbox.folder}/checkout/.venv/share/mim_plugin/convert ' in beside
    assert 'up to date' in sandbox.setup().stderr, 'what is installed includes what the quickstart needs'

    constraints = sandbox.folder / 'checkout' / 'constraints.txt'
    constraints.write_text(constraints.read_text().replace('numpy==2.4', 'numpy==2.5'))
    assert 'is ready' in sandbox.setup().stderr, 'other versions are wanted now'


def test_installer_that_fails_is_named_and_nothing_counts_as_done(sandbox):
    sandbox.command('uv', '#!/bin/sh\necho "no such package" >&2\nexit 1\n')
    assert 'torch 2.13.0 could not be installed' in error_of(sandbox.setup())
    assert not (sandbox.folder / 'checkout' / '.venv' / '.mim_plugin_setup').exists()


def test_wrong_python_is_an_error(sandbox):
    old = sandbox.command('python3.8', '#!/bin/sh\necho 3.8\n')
    assert 'is Python 3.8, and mim_plugin needs 3.10, 3.11 or 3.12' in error_of(sandbox.setup(MIM_PYTHON=str(old)))
    assert 'does not run' in error_of(sandbox.setup(MIM_PYTHON='/nowhere/python'))


def test_no_python_found_names_what_was_seen(sandbox):
    for name in ('python3.10', 'python3.11', 'python3.12', 'python3', 'python'):
        sandbox.command(name, '#!/bin/sh\necho 3.14\n')
    assert 'python3 is 3.14' in error_of(sandbox.setup(MIM_PYTHON=''))


def test_full_disk_is_an_error(sandbox):
    sandbox.command('df', '#!/bin/sh\necho "Filesystem 1K Used Free"\necho "/dev/x 9000000 6000000 3200000 65% /"\n')
    assert 'has 3 GB of free disk' in error_of(sandbox.setup())


def test_no_index_is_an_error(sandbox):
    assert 'no package index can be reached' in error_of(sandbox.setup(PIP_FIND_LINKS=''))
    assert sandbox.asked() == []


def test_a_folder_that_is_no_environment_is_left_alone(sandbox):
    (sandbox.folder / 'photos').mkdir()
    (sandbox.folder / 'photos' / 'a.jpg').touch()
    assert 'is not an environment of Python' in error_of(sandbox.setup(MIM_ENV=str(sandbox.folder / 'photos')))


def test_unknown_arguments_are_errors(sandbox):
    assert "--extra 'detecton' is unknown" in error_of(sandbox.setup('--extra', 'detecton'))
    assert "argument '--force' is unknown" in error_of(sandbox.setup('--force'))


def current(folder, sandbox):
    return {'MIM_ENV': 'current', 'MIM_PYTHON': str(folder / 'bin' / 'python')}


def test_both_families_in_the_active_environment_are_an_error(sandbox):
    folder = sandbox.environment('mixed', 'mmengine==0.10.7', 'onedl-mmcv==2.3.6')
    message = error_of(sandbox.setup(**current(folder, sandbox)))
    assert 'both OpenMMLab families (mmengine and onedl-mmcv)' in message


def test_an_environment_of_the_original_family_keeps_its_packages(sandbox):
    folder = sandbox.environment('original', 'mmengine==0.10.7', 'mmcv==2.1.0', 'torch==2.3.1', 'pip==23.2.1')
    sandbox.command('python3', '#!/bin/sh\nexit 1\n')
    (site,) = (folder / 'lib').glob('python3*/site-packages')
    (site / 'torch.py').touch()
    (site / 'pip').symlink_to(Path(__import__('pip').__file__).parent)
    result = sandbox.setup(**current(folder, sandbox))
    assert result.returncode == 0, result.stderr
    (project,) = sandbox.asked()
    assert project.endswith('checkout[dev,quickstart,segmentation]')
    assert f'-c {sandbox.folder}/checkout' not in project, 'held at what is there, not at our versions'
