"""Checkpoints with the names of the published BEiT v2 code."""

import pytest
import torch

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.convert import convert
from mim_plugin.checkpoints.formats.beit import to_official
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS

from .test_hugging_face import scatter
from .tiny import assert_same

BACKBONE = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': 128, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 256},
    'img_size': 32,
    'patch_size': 8,
    'pos_embed': None,
    'relative_bias': 'shared',
    'qkv_bias': 'qv',
    'layer_scale': 0.1,
    'mask_token': True,
}


def official():
    """A pretraining file: BEiT's names, and two more blocks that read the last [CLS] with earlier patches."""
    torch.manual_seed(0)
    ours = scatter(MODELS.build(dict(BACKBONE))).state_dict()
    state = to_official({f'backbone.{name}': value for name, value in ours.items()})['model']
    state |= {'lm_head.weight': torch.randn(16, 128), 'lm_head.bias': torch.randn(16)}
    blocks = {name: value for name, value in state.items() if name.startswith('blocks.')}
    return state, {name.replace('blocks.', 'cls_pt_layers.'): torch.randn_like(value) for name, value in blocks.items()}


def test_a_pretraining_file_loses_only_the_layers_for_cls(tmp_path):
    state, more = official()
    torch.save({'model': state | more, 'epoch': 1599}, tmp_path / 'v2.pth')
    with pytest.raises(CheckpointError, match='would lose cls_pt_layers'):
        convert(tmp_path / 'v2.pth', tmp_path / 'ours.pth')
    report = convert(tmp_path / 'v2.pth', tmp_path / 'ours.pth', allow_unused=['cls_pt_*'], verify=True)
    assert report.from_format == 'beit_v2'
    assert sorted(report.lost) == sorted(more)
    convert(tmp_path / 'ours.pth', tmp_path / 'back.pth', to_format='beit_v2')
    again = torch.load(tmp_path / 'back.pth')['model']
    assert again.keys() == state.keys()
    assert_same(again, state)


def test_a_backbone_starts_from_it(tmp_path):
    state, more = official()
    torch.save({'model': state | more}, tmp_path / 'v2.pth')
    backbone = MODELS.build(dict(BACKBONE))
    report = load_pretrained(backbone, tmp_path / 'v2.pth', logger=None)
    assert not report.kept
    assert torch.equal(backbone.layers[1].attn.qkv.weight, state['blocks.1.attn.qkv.weight'])


def test_its_tokenizer_is_refused_by_name(tmp_path):
    state = {'encoder.patch_embed.proj.weight': torch.zeros(8, 3, 4, 4), 'quantize.embedding.weight': torch.zeros(4, 2)}
    torch.save({'model': state}, tmp_path / 'vqkd.pth')
    with pytest.raises(CheckpointError, match='VQ-KD tokenizer'):
        convert(tmp_path / 'vqkd.pth', tmp_path / 'ours.pth')
