"""A model that was fine-tuned at one size and is used at another: as resized at load, whatever stands above it."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats import beit

ARCH = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16)
BIAS = {'absolute': None, None: 'per_block'}


def classifier(size, positions):
    backbone = dict(type='MIMVisionTransformer', arch=ARCH, img_size=size, patch_size=8, pos_embed=positions)
    backbone |= dict(relative_bias=BIAS[positions], mean_pooling=True)
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        return MODELS.build(dict(type='MIMClassifier', backbone=backbone, num_classes=3)).eval()


def segmentor(size, positions):
    backbone = dict(type='mim_plugin.MIMVisionTransformer', arch=ARCH, img_size=size, patch_size=8)
    backbone |= dict(pos_embed=positions, relative_bias=BIAS[positions])
    head = dict(type='FCNHead', in_channels=8, channels=8, num_convs=1, num_classes=3)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = dict(type='EncoderDecoder', backbone=backbone, decode_head=head, test_cfg=dict(mode='whole'))
        return MODELS.build(model).eval()


def tuned(build, positions):
    torch.manual_seed(0)
    model = build(32, positions)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return model


@pytest.mark.parametrize('positions', BIAS)
@pytest.mark.parametrize('build', [classifier, segmentor])
def test_scores_at_another_size(build, positions, tmp_path):
    model, other = tuned(build, positions), build((48, 64), positions)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'tuned.pth')
    report = load_pretrained(other, tmp_path / 'tuned.pth')
    assert len(report.resized) == (1 if positions else 2)
    images = torch.randn(2, 3, 48, 64)
    expected = other(images)
    torch.testing.assert_close(model(images), expected, atol=1e-4, rtol=1e-4)
    # It is the place of the patches that makes the difference, not some constant part of the scores.
    with torch.no_grad():
        for name, value in other.named_parameters():
            if name.endswith(('pos_embed', 'bias_table')):
                value.zero_()
    assert (other(images) - expected).abs().max() > 1e-3


def test_an_official_classifier_at_another_size(tmp_path):
    model, other = tuned(classifier, None), classifier((24, 40), None)
    torch.save(beit.to_official(model.state_dict()), tmp_path / 'official.pth')
    report = load_pretrained(other, tmp_path / 'official.pth')
    assert 'BEiT' in report.source and len(report.resized) == 2
    images = torch.randn(1, 3, 24, 40)
    torch.testing.assert_close(other(images), model(images), atol=1e-4, rtol=1e-4)
