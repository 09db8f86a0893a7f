"""A user's folder outside the checkout, with data and with configs that inherit from the toolboxes."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mim_plugin.testing.coco_images import write_coco_folder
from mim_plugin.testing.images import write_image_folder, write_segmentation_folder

ROOT = Path(__file__).parents[2]
TOOLBOXES = ('mmseg', 'mmdet', 'mmpretrain')


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    data = tmp_path / 'data'
    write_segmentation_folder(data / 'images', data / 'labels')
    write_coco_folder(data / 'coco', data / 'coco.json', ('a', 'b'))
    write_image_folder(data / 'classes')
    for name in TOOLBOXES:
        text = (ROOT / f'tests/data/swap_{name}.py').read_text()
        (tmp_path / f'swap_{name}.py').write_text(text)
        (tmp_path / f'swap_{name}_by_path.py').write_text(text.replace(f'{name}::', f'{shipped(name)}/configs/'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shipped(name: str) -> Path:
    """The folder with the configs and tools of an installed toolbox; a missing one is the test's business."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent / '.mim' if spec else Path(name)


@pytest.fixture
def python(user_folder, fresh_python):
    """Run Python in the user's folder; mim_plugin is found by its path alone, as after an editable installation."""

    def run(*arguments: str, path: str | Path = ROOT) -> subprocess.CompletedProcess:
        if path == ROOT:
            return fresh_python(*arguments, cwd=user_folder)
        # What an interpreter does at its very start counts, too.
        env = {**os.environ, 'PYTHONPATH': str(path), 'OMP_NUM_THREADS': '1'}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=user_folder, env=env, capture_output=True, text=True, timeout=300)

    return run
