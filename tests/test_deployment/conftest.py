import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
ARCH = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)


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


@pytest.fixture
def tiny_backbone(tmp_path):
    """A function from options of a backbone of two blocks to a config of nothing else, and its weights in a file."""

    def make(**options) -> tuple[Config, Path]:
        backbone = dict(type='MIMVisionTransformer', arch=ARCH, img_size=64, out_indices=(0, 1), **options)
        torch.manual_seed(0)
        model = MODELS.build(dict(backbone, _scope_='mim_plugin'))
        for value in model.parameters():
            nn.init.normal_(value, std=0.3)
        torch.save(model.state_dict(), tmp_path / 'weights.pth')
        return Config(dict(default_scope='mim_plugin', model=dict(backbone=backbone))), tmp_path / 'weights.pth'

    return make
