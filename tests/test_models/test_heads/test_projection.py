"""The projection head: what is picked equals what the whole gives."""

import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.models.heads import ProjectionHead
from mim_plugin.models.heads.projection import WeightNormLinear

VARIANTS = [
    {},
    {'norm': 'ln', 'act': 'relu'},
    {'norm': 'bn'},
    {'shared': False, 'patch_out_dim': 9},
    {'bottleneck_dim': 0},
    {'bottleneck_dim': 0, 'shared': False, 'patch_out_dim': 9},
    {'num_layers': 1},
    {'num_layers': 2, 'norm_last_layer': True},
    {'shared': False, 'shared_layers': 0},
    {'shared': False, 'patch_out_dim': 9, 'shared_layers': 2},
    {'shared': False, 'shared_layers': 1, 'norm': 'ln'},
    {'shared': False, 'shared_layers': 1, 'norm': 'bn'},
    {'shared': False, 'shared_layers': 0, 'num_layers': 1},
]


def make_head(**options):
    torch.manual_seed(0)
    return ProjectionHead(in_dim=12, out_dim=10, **{'hidden_dim': 16, 'bottleneck_dim': 6, **options})


@pytest.mark.parametrize('options', VARIANTS)
def test_selected_scores_equal_all_scores(options):
    head = make_head(**options)
    tokens = torch.randn(3, 1 + 5, 12)
    index = torch.tensor([0, 4, 7, 13])
    cls, patch = head(tokens)
    picked_cls, picked, mean = head.forward_selected(tokens[:, 0], tokens[:, 1:], index, with_patch_mean=True)
    torch.testing.assert_close(picked_cls, cls)
    torch.testing.assert_close(picked, patch.flatten(0, 1)[index])
    torch.testing.assert_close(mean, patch.flatten(0, 1).mean(0, keepdim=True))


@pytest.mark.parametrize('options', VARIANTS)
def test_selected_gradients_equal_all_gradients(options):
    tokens = torch.randn(3, 1 + 5, 12, dtype=torch.float64)
    index = torch.tensor([1, 2, 14])
    gradients = []
    for selected in (False, True):
        head = make_head(**options).double()
        if selected:
            cls, patch, _ = head.forward_selected(tokens[:, 0], tokens[:, 1:], index)
        else:
            cls, patch = head(tokens)
            patch = patch.flatten(0, 1)[index]
        (cls.square().sum() + patch.pow(3).sum()).backward()
        gradients.append({name: p.grad for name, p in head.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-10, rtol=1e-7)


@pytest.mark.parametrize(('shared_layers', 'own'), [(None, []), (0, [0, 2, 4]), (1, [0, 2]), (2, [0]), (3, [])])
def test_patches_have_the_layers_of_their_own_that_are_not_shared(shared_layers, own):
    head = make_head(shared=False, shared_layers=shared_layers)
    names = [name for name, _ in head.named_parameters() if name.startswith('patch_mlp.') and name.endswith('weight')]
    assert names == [f'patch_mlp.{i}.weight' for i in own]
    cls, patch = (head(torch.randn(2, 4, 12))[i] for i in (0, 1))
    patch.sum().backward()
    used = {name for name, p in head.named_parameters() if p.grad is not None and name.startswith('mlp.')}
    assert used == {f'mlp.{2 * i}.{kind}' for i in range(3 - len(own)) for kind in ('weight', 'bias')}


def test_no_selected_patch_keeps_every_parameter_in_the_graph():
    head = make_head(shared=False, patch_out_dim=9)
    tokens = torch.randn(2, 4, 12)
    cls, patch, _ = head.forward_selected(tokens[:, 0], tokens[:, 1:], torch.zeros(0, dtype=torch.int64))
    (cls.sum() + patch.sum()).backward()
    assert all(p.grad is not None for p in head.parameters())


def test_scores_are_cosines_when_the_scale_is_one():
    layer = WeightNormLinear(6, 10)
    x = torch.nn.functional.normalize(torch.randn(4, 6), dim=1)
    expected = torch.nn.functional.cosine_similarity(x[:, None], layer.weight_v[None], dim=-1)
    torch.testing.assert_close(layer(x), expected)


def test_frozen_scale_has_no_gradient():
    assert not make_head(norm_last_layer=True).last_layer.weight_g.requires_grad
    assert make_head().last_layer.weight_g.requires_grad


@pytest.mark.parametrize(
    'options',
    [
        {'act': 'tanh'},
        {'norm': 'gn'},
        {'bottleneck_dim': 0, 'num_layers': 1},
        {'shared_layers': 2},
        {'shared': False, 'shared_layers': 4},
        {'shared': False, 'shared_layers': 1, 'bottleneck_dim': 0},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigError, match='ProjectionHead'):
        make_head(**options)
