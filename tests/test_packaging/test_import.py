"""Importing mim_plugin is light, and says what is missing."""

import subprocess
import sys

HEAVY = ('mmcv', 'mmseg', 'mmdet', 'mmpretrain', 'cv2', 'torchvision', 'timm', 'matplotlib', 'sklearn')
TIMED = f"""
import sys, time
import torch
start = time.process_time()
import mim_plugin, mim_plugin.apis
print(time.process_time() - start, [name for name in {HEAVY} if name in sys.modules])
"""
BLOCKED = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Block())
{code}
"""


def run(code):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


def test_import_is_light():
    seconds, heavy = run(TIMED).stdout.split(' ', 1)
    assert float(seconds) <= 1.5
    assert heavy.strip() == '[]'


def test_import_without_mmengine_says_what_to_install():
    result = run(BLOCKED.format(blocked=['mmengine'], code='import mim_plugin'))
    assert result.returncode == 1
    assert 'pip install onedl-mmengine' in result.stderr.splitlines()[-1]
    assert 'During handling' not in result.stderr


def test_models_need_neither_a_toolbox_nor_mmcv():
    blocked = [name for name in HEAVY if name not in ('matplotlib', 'cv2')]  # mmengine itself draws with both
    code = 'import mim_plugin.models, mim_plugin.datasets, mim_plugin.engine, mim_plugin.checkpoints'
    result = run(BLOCKED.format(blocked=blocked, code=code))
    assert result.returncode == 0, result.stderr
