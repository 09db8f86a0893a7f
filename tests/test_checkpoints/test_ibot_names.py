import pytest
import torch

from mim_plugin.checkpoints.contents import flat, network_of
from mim_plugin.checkpoints.formats import ibot
from mim_plugin.registry import MODELS
from tests.test_checkpoints.tiny import BACKBONE, assert_same, make_ibot


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'layer_scale': 0.1},
        {'mean_pooling': True},
        {'head': {'norm': 'bn'}},
        {'head': {'norm': 'ln', 'num_layers': 2}},
        {'head': {'num_layers': 1}},
        {'head': {'bottleneck_dim': 0}},
        {'head': {'bottleneck_dim': 0, 'shared': False, 'patch_out_dim': 12}},
        {'head': {'shared': False, 'patch_out_dim': 12}},
        {'head': {'shared': False}, 'tokenizer': {'head': {'shared': True}}},
        {'head': {'shared': True}, 'tokenizer': {'head': {'shared': False}}},
    ],
)
def test_there_and_back_again(options):
    state = make_ibot(**options).state_dict()
    official = ibot.to_official(state)
    back, _ = network_of(flat(official)[0])
    assert back.keys() == state.keys()
    assert_same(state, back)


def test_the_official_layout():
    official = ibot.to_official(make_ibot(head={'norm': 'bn'}).state_dict())
    assert official['student']['module.backbone.masked_embed'].shape == (1, 24)
    assert 'module.backbone.norm.weight' in official['teacher']  # wrapped, because of the batch norm
    assert not any('masked_embed' in name for name in official['teacher'])
    plain = ibot.to_official(make_ibot().state_dict())
    assert 'backbone.blocks.1.mlp.fc2.bias' in plain['teacher']
    assert torch.equal(plain['student']['module.head.last_layer.weight_v'],
                       plain['student']['module.head.last_layer2.weight_v'])  # fmt: skip
    assert plain['ibot_loss'].keys() == {'center', 'center2'}


def test_names_of_the_published_small_model():
    """First, last and number of entries of the released ViT-S/16, heads included."""
    with torch.device('meta'):
        backbone = MODELS.build({**BACKBONE, 'arch': 'small', 'img_size': 224, 'patch_size': 16, 'mask_token': True})
        head = MODELS.build({'type': 'ProjectionHead', 'in_dim': 384})
    state = {f'backbone.{n}': v for n, v in backbone.state_dict().items()}
    state |= {f'head.{n}': v for n, v in head.state_dict().items()}
    official = ibot.network_to_official(state)
    assert len(official) == 161
    assert list(official)[:4] == [
        'backbone.cls_token', 'backbone.pos_embed', 'backbone.masked_embed', 'backbone.patch_embed.proj.weight',
    ]  # fmt: skip
    assert list(official)[-1] == 'head.last_layer2.weight_v'
    assert official['head.last_layer.weight_g'].shape == (8192, 1)
    assert sum(v.numel() for n, v in official.items() if n.startswith('backbone') and 'mask' not in n) == 21_665_664


def test_newer_names_of_weight_norm():
    state = {'last_layer.parametrizations.weight.original0': torch.ones(3, 1),
             'last_layer.parametrizations.weight.original1': torch.ones(3, 2)}  # fmt: skip
    assert network_of(state)[0].keys() == {'last_layer.weight_g', 'last_layer.weight_v'}
