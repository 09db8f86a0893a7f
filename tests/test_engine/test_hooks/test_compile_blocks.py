"""CompileBlocksHook: the same training, through torch.compile (here with a backend that needs no compiler)."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mim_plugin.apis.run import build_runner, prepare_config
from mim_plugin.errors import ConfigError
from mim_plugin.models.layers import TransformerBlock
from mim_plugin.testing.images import write_image_folder

CONFIG = Path(__file__).parents[2] / 'data/ibot_tiny.py'


def train(tmp_path, name, *hooks):
    cfg = Config.fromfile(CONFIG)
    cfg.train_dataloader.dataset.data_root = str(tmp_path / 'images')
    cfg.model.backbone.drop_path_rate = 0.3
    cfg.custom_hooks += hooks
    cfg.experiment_name = f'{tmp_path.name}_{name}'
    runner = build_runner(prepare_config(cfg, work_dir=str(tmp_path / name)))
    runner.train()
    return runner


def test_the_same_weights_under_the_same_names(tmp_path):
    write_image_folder(tmp_path / 'images', per_class=4)
    seen = []

    def backend(graph, example):
        seen.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = train(tmp_path, 'compiled', dict(type='CompileBlocksHook', backend=backend))
    plain = train(tmp_path, 'plain')
    # Two blocks of the student on two sizes of crops, those of the teacher on one.
    assert len(seen) >= 3
    ours, theirs = compiled.model.state_dict(), plain.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    blocks = [module for module in compiled.model.modules() if isinstance(module, TransformerBlock)]
    assert len(blocks) == 4 and all(block._compiled_call_impl is not None for block in blocks)


def test_one_word_of_a_config_asks_for_it(toy_runner):
    cfg = Config.fromfile(CONFIG)
    hooks = len(cfg.custom_hooks)
    prepared = prepare_config(cfg, cfg_options={'compile': 'blocks'})
    assert prepared.compile is False and len(prepared.custom_hooks) == hooks + 1
    assert prepared.custom_hooks[-1].type == 'mim_plugin.CompileBlocksHook'
    with pytest.raises(ConfigError, match="compile='step' is unknown; use compile=blocks .* or compile=True"):
        prepare_config(cfg, cfg_options={'compile': 'step'})
    runner = toy_runner({'custom_hooks': [dict(type='CompileBlocksHook')]})
    with pytest.raises(ConfigError, match='no transformer block in ToyDistillation; leave it out, or use'):
        runner.train()
