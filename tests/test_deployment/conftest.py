import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_traces(monkeypatch):
    """pytest would listen to what torch notes of every traced operator, which takes longer than tracing."""
    monkeypatch.setattr(logging.getLogger('torch.__trace'), 'addHandler', lambda handler: None)


@pytest.fixture
def trained(tmp_path):
    """A function from the name of a config to its tiny version, with weights that all matter, in files."""

    def make(name: str) -> tuple[Config, Path]:
        cfg = shrink(Config.fromfile(ROOT / 'configs' / name), tmp_path / 'generated')
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            model = MODELS.build(cfg.model)
        for value in model.parameters():
            nn.init.normal_(value, std=0.1)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / 'weights.pth')
        cfg.dump(tmp_path / 'config.py')
        return cfg, tmp_path / 'weights.pth'

    return make
