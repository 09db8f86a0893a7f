"""Golden: beit_init. Here: the rules side by side."""

import math

import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.models.backbones import MIMVisionTransformer

ARCH = dict(embed_dims=64, num_layers=4, num_heads=2, feedforward_channels=128)


def spread(tensor):
    return tensor.detach().square().mean().sqrt().item()


def vit(init):
    torch.manual_seed(0)
    return MIMVisionTransformer(ARCH, img_size=64, mask_token=True, num_registers=2, init=init)


@pytest.mark.parametrize(
    ('init', 'std', 'rescales', 'all_drawn'),
    [('ibot', 0.02, False, False), ('beit', 0.0108, True, True), ('beit_finetune', 0.02, True, False)],
)
def test_rules(init, std, rescales, all_drawn):
    model = vit(init)
    for token in (model.cls_token, model.reg_token, model.pos_embed):
        assert spread(token) == pytest.approx(std, rel=0.4)
    for number, block in enumerate(model.layers, start=1):
        assert spread(block.attn.qkv.weight) == pytest.approx(std, rel=0.05)
        assert spread(block.ffn.layers[0][0].weight) == pytest.approx(std, rel=0.05)
        factor = math.sqrt(2 * number) if rescales else 1
        for last in (block.attn.proj, block.ffn.layers[1]):
            assert spread(last.weight) == pytest.approx(std / factor, rel=0.05) and not last.bias.any()
    assert bool(model.mask_token.any()) == all_drawn
    assert bool(model.patch_embed.projection.bias.any()) != all_drawn


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="init='mae' is unknown; use one of"):
        vit('mae')
