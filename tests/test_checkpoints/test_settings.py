"""What a file tells of settings that its parameters do not show."""

import json

import pytest
import torch

from mim_plugin.checkpoints import convert
from mim_plugin.checkpoints.matrix import sample
from mim_plugin.checkpoints.settings import with_told_settings
from mim_plugin.errors import CheckpointError

ARCH = {'embed_dims': 128, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 256}
TOLD = {'arch': {**ARCH, 'num_heads': 8}, 'norm_eps': 1e-5}
MODEL = "model = dict(type='IBOT', backbone=dict(arch=dict(embed_dims=128, num_heads=8), norm_eps=1e-05))\n"


@pytest.mark.parametrize(
    'meta',
    [
        {'backbone': json.dumps(TOLD)},
        {'config': json.dumps({'model': {'backbone': TOLD}})},
        {'config': json.dumps({'model_type': 'vit', 'hidden_size': 128, 'num_attention_heads': 8,
                               'layer_norm_eps': 1e-5})},
        {'cfg': MODEL},
    ],
    ids=['converted', 'exported', 'hugging face', 'trained'],
)  # fmt: skip
def test_what_a_file_tells_is_taken(meta):
    config = with_told_settings({'type': 'MIMVisionTransformer', 'arch': ARCH}, {'meta': meta})
    assert config['arch'] == {**ARCH, 'num_heads': 8}
    assert config['norm_eps'] == 1e-5


@pytest.mark.parametrize(
    'checkpoint',
    [
        {},
        {'meta': None},
        {'meta': {'backbone': 'no JSON', 'config': '[]', 'cfg': 'model = 1 +'}},
        {'meta': {'backbone': json.dumps({'arch': {'embed_dims': 64, 'num_heads': 8}})}},
        {'meta': {'config': json.dumps({'model': {'backbone': {'arch': 'small'}}})}},
    ],
)
def test_without_a_word_nothing_changes(checkpoint):
    config = {'type': 'MIMVisionTransformer', 'arch': ARCH}
    assert with_told_settings(config, checkpoint) == config


def test_heads_that_the_caller_names_count_more_than_those_of_the_file():
    config = {'type': 'MIMVisionTransformer', 'arch': ARCH}
    checkpoint = {'meta': {'backbone': json.dumps(TOLD)}}
    assert with_told_settings(config, checkpoint, num_heads=4)['arch']['num_heads'] == 4
    assert with_told_settings(config, checkpoint, num_heads=4)['norm_eps'] == 1e-5
    assert with_told_settings(config, {}, num_heads=4) == {**config, 'arch': {**ARCH, 'num_heads': 4}}


@pytest.mark.parametrize(
    ('settings', 'num_heads', 'message'),
    [
        ({}, 3, '128 channels cannot be divided among num_heads=3'),
        ({}, 0, 'cannot be divided'),
        ({'relative_bias': 'shared'}, 4, 'are those of 2 heads, not of num_heads=4'),
        ({'arch': {'num_heads': (2, 4)}}, 2, 'is for plain transformers'),
    ],
)
def test_heads_that_cannot_be(settings, num_heads, message):
    with pytest.raises(CheckpointError, match=message):
        with_told_settings({'arch': ARCH, **settings}, {}, num_heads)


def test_the_classes_of_others_are_told_the_heads(tmp_path):
    """Of a file that tells nothing; heads of 64 channels would be another network for both classes alike."""
    torch.save(sample('ViT'), tmp_path / 'a.pth')
    done = convert(tmp_path / 'a.pth', tmp_path / 'b.pth', to_format='mmpretrain', num_heads=4, verify=True)
    assert any('mmpretrain' in line and 'agree' in line for line in done.verified)
    convert(tmp_path / 'b.pth', tmp_path / 'folder', to_format='hugging_face')  # the file tells by now
    assert json.loads((tmp_path / 'folder/config.json').read_text())['num_attention_heads'] == 4
    with pytest.raises(CheckpointError, match='cannot be divided among num_heads=5'):
        convert(tmp_path / 'a.pth', tmp_path / 'c.pth', num_heads=5)


def test_swin_tells_its_heads_itself():
    config = {'type': 'MIMSwinTransformer', 'arch': {'num_heads': (2, 4)}}
    assert with_told_settings(config, {'meta': {'backbone': json.dumps(TOLD)}}) == config
