"""Copies that are traced compute what the networks compute."""

import pytest
import torch
from torch import nn

from mim_plugin.deployment.graphs import Pixels
from mim_plugin.deployment.traceable import fix_size, fixed_size_reason, traceable_copy
from mim_plugin.errors import ConfigError
from mim_plugin.models.backbones import MIMSwinTransformer, MIMVisionTransformer

ARCH = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)


def vit(**options):
    torch.manual_seed(0)
    backbone = MIMVisionTransformer(ARCH, img_size=64, out_indices=(0, 1), **options).eval()
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.5)
    return backbone


@pytest.mark.parametrize('output_size', [1, 3, (2, 5)])
@pytest.mark.parametrize('shape', [(6, 6), (7, 5), (2, 9)])
def test_pooling_is_that_of_torch(output_size, shape):
    torch.manual_seed(0)
    layer, maps = nn.Sequential(nn.AdaptiveAvgPool2d(output_size)), torch.randn(2, 3, *shape)
    torch.testing.assert_close(traceable_copy(layer)(maps), layer(maps), atol=1e-6, rtol=1e-5)


def test_enlarging_is_that_of_torch():
    layer = nn.Sequential(nn.Upsample(scale_factor=4, mode='bilinear', align_corners=False))
    maps = torch.randn(1, 2, 3, 5)
    assert torch.equal(traceable_copy(layer)(maps), layer(maps))


def test_the_network_is_not_touched():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.SyncBatchNorm(3)).train()
    traced = traceable_copy(model)
    assert type(model[0]) is nn.AdaptiveAvgPool2d and type(model[1]) is nn.SyncBatchNorm and model.training
    assert not traced.training and not isinstance(traced[1], nn.SyncBatchNorm)
    assert model[1].weight.requires_grad and not traced[1].weight.requires_grad


@pytest.mark.parametrize(
    'options',
    [
        dict(pos_interpolation='ibot'),
        dict(pos_embed='sincos'),
        dict(pos_embed=None, relative_bias='both', num_registers=1),
        dict(relative_bias='per_block', qkv_bias='qv'),
    ],
)
def test_a_fixed_size_changes_no_feature(options):
    backbone, images = vit(**options), torch.randn(2, 3, 40, 96)
    traced = traceable_copy(backbone)
    fix_size(traced, 40, 96)
    assert traced.train_grid == (3, 6) and backbone.train_grid == (4, 4)
    with torch.no_grad():
        for ours, theirs in zip(traced(images), backbone(images)):
            assert torch.equal(ours, theirs)


def test_who_is_for_one_size():
    assert fixed_size_reason(vit()) is None
    assert 'relative position bias' in fixed_size_reason(vit(relative_bias='shared'))
    assert 'windows' in fixed_size_reason(MIMSwinTransformer(dict(embed_dims=8, depths=(1, 1), num_heads=(1, 1))))
    assert 'Conv2d' in fixed_size_reason(nn.Conv2d(3, 3, 1))


def test_pixels_follow_the_preprocessor():
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    statistics = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0])
    mean, std = (torch.tensor(statistics[key]).view(-1, 1, 1) for key in ('mean', 'std'))
    rgb = (images.float() - mean) / std
    assert torch.equal(Pixels(dict(type='SegDataPreProcessor', bgr_to_rgb=True, **statistics))(images), rgb)
    assert torch.equal(Pixels(dict(type='mim_plugin.MIMDataPreprocessor', **statistics))(images), rgb)
    bgr = (images.flip(1).float() - mean) / std
    assert torch.equal(Pixels(dict(type='SegDataPreProcessor', **statistics))(images), bgr)
    assert torch.equal(Pixels(dict(type='SegDataPreProcessor', bgr_to_rgb=True))(images), images.float())
    with pytest.raises(ConfigError, match='test_cfg.size=.* pads images'):
        Pixels(dict(type='SegDataPreProcessor', test_cfg=dict(size=(64, 64))))
