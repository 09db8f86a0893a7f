"""What a file tells of settings that its parameters do not show."""

import json

import pytest

from mim_plugin.checkpoints.settings import with_told_settings

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


def test_swin_tells_its_heads_itself():
    config = {'type': 'MIMSwinTransformer', 'arch': {'num_heads': (2, 4)}}
    assert with_told_settings(config, {'meta': {'backbone': json.dumps(TOLD)}}) == config
