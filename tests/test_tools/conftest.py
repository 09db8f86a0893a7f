import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mim_plugin.testing.images import write_image_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workplace(tmp_path):
    """A user's folder outside the checkout: images/ (8 of them) and my_configs/ibot_tiny.py."""
    write_image_folder(tmp_path / 'images', per_class=4)
    (tmp_path / 'my_configs').mkdir()
    shutil.copy(ROOT / 'tests/data/ibot_tiny.py', tmp_path / 'my_configs')
    return tmp_path


@pytest.fixture
def call(workplace, fresh_python):
    """Run a tool in the user's folder as a command; returns the finished process."""

    def run(tool: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        # The checkout is found by its path alone, as after an editable installation.
        environment = {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **environment}
        environment['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
        if not tool.endswith('.sh'):
            return fresh_python(ROOT / 'tools' / tool, *arguments, cwd=workplace, timeout=600, **environment)
        command = ['bash', str(ROOT / 'tools' / tool), *arguments]
        env = {**os.environ, **environment}
        return subprocess.run(command, cwd=workplace, env=env, capture_output=True, text=True, timeout=600)

    return run
