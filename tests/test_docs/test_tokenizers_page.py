"""docs/tokenizers.md: what its page says works when it is done word by word."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mim_plugin.apis.run import build_runner, prepare_config
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.models.tokenizers.features import FeatureGrid
from mim_plugin.registry import MODELS
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
PAGE = ROOT / 'docs/tokenizers.md'


@pytest.fixture
def followed(tmp_path, monkeypatch):
    """A newcomer's folder with the files of the page."""
    for name, code in re.findall(r'```python\n# (\S+\.py)\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.DOTALL):
        (tmp_path / name).write_text(code, encoding='utf-8')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop('brightness', None)
    MODELS._module_dict.pop('BrightnessTokenizer', None)


def test_a_tokenizer_that_is_added_as_the_page_says_trains(followed):
    assert {path.name for path in followed.iterdir()} == {'brightness.py', 'beit-brightness.py', 'test_brightness.py'}
    cfg = shrink(Config.fromfile('beit-brightness.py'), followed / 'data')
    cfg.experiment_name = followed.name
    runner = build_runner(prepare_config(cfg, work_dir=str(followed / 'work')))
    assert type(runner.model.tokenizer).__name__ == 'BrightnessTokenizer'
    before = runner.model.head.linear.weight.detach().clone()
    runner.train()
    assert runner.message_hub.get_scalar('train/loss_mim').current() < 5
    assert runner.model.head.linear.weight.shape[0] == 32
    assert not torch.equal(runner.model.head.linear.weight, before)


def test_the_test_of_the_page_passes(followed):
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'test_brightness.py']
    done = subprocess.run(command, cwd=followed, env={'PYTHONPATH': str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_page_names_every_tokenizer_and_only_files_that_exist():
    text = PAGE.read_text(encoding='utf-8')
    for kind in (FrozenTokenizer, FeatureGrid):
        names = {c.__name__ for c in kind.__subclasses__() if c.__module__.startswith('mim_plugin.models.tokenizers')}
        assert names
        assert not [name for name in names if f'`{name}`' not in text]
    for target in re.findall(r'\]\(([^)#]+)\)', text):
        assert (PAGE.parent / target).exists(), target
    for name in re.findall(r'(?:configs|tools)/\S+\.py', text):
        assert (ROOT / name).is_file(), name
