"""Feature grids: shapes, values that can be told beforehand, weights, and what is refused."""

import builtins
import math

import pytest
import torch
from safetensors.torch import save_file

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.tokenizers.features.taef2 import taef2_decoder, taef2_encoder
from mim_plugin.registry import MODELS

VIT = dict(arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48), img_size=32, patch_size=8)
FEATURES = {
    'pixels': dict(type='PixelFeatures', patch_size=8),
    'color-gradient': dict(type='ColorGradientFeatures', patch_size=8),
    'taef2': dict(type='TAEF2Features', width=8),
    'vit': dict(type='ViTFeatures', backbone=VIT),
    'timm': dict(type='TimmFeatures', model='test_convnext', out_index=1),
}


def build(config, **changes):
    if config['type'] == 'TimmFeatures':
        pytest.importorskip('timm')
    return MODELS.build({**config, **changes}).eval()


@pytest.mark.parametrize('name', FEATURES)
def test_grid_and_width_are_as_announced(name):
    features = build(FEATURES[name])
    found = features(torch.rand(2, 3, 32, 48))
    assert found.shape == (2, *features.grid_size((32, 48)), features.dims)
    assert found.shape[1:3] == (4, 6)
    with pytest.raises(ConfigError, match=r'cannot cut images of \(32, 44\) pixels into patches of 8'):
        features(torch.rand(1, 3, 32, 44))


def test_color_part_is_the_mean_of_each_cell():
    images = torch.rand(1, 3, 16, 16)
    found = build(FEATURES['color-gradient'])(images)[0, 1, 0]
    assert torch.allclose(found[:3], images[0, :, 8:12, :4].mean((1, 2)), atol=1e-6)
    assert torch.allclose(found[9:12], images[0, :, 12:16, 4:8].mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize(('degrees', 'bin_'), [(0, 0), (45, 2), (90, 4), (135, 6), (180, 0), (315, 6)])
def test_gradient_part_tells_the_direction_of_a_slope(degrees, bin_):
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing='ij')
    angle = math.radians(degrees)
    images = (0.5 + 0.01 * (math.cos(angle) * (x - 12) + math.sin(angle) * (y - 12))).expand(1, 3, 24, 24)
    histogram = build(FEATURES['color-gradient'])(images)[0, 1, 1, 12:].square()  # a patch away from the border
    assert histogram.argmax() == bin_
    assert torch.allclose(histogram.sum(), torch.tensor(0.01), rtol=1e-3)
    assert histogram[bin_] > 0.99 * histogram.sum()


def test_uniform_patches_have_no_gradient():
    found = build(FEATURES['color-gradient'])(torch.full((1, 3, 8, 8), 0.3))
    assert torch.allclose(found[..., :12], torch.tensor(0.3))
    assert not found[..., 12:].any()


def test_pixels_decode_exactly():
    images = torch.rand(2, 3, 16, 24)
    features = build(FEATURES['pixels'])
    assert features.decode(features(images)).equal(images)


def test_taef2_reads_its_files_and_draws(tmp_path):
    paths = {'encoder': tmp_path / 'e.safetensors', 'decoder': tmp_path / 'd.pth'}
    torch.manual_seed(1)
    save_file(taef2_encoder(8).half().state_dict(), paths['encoder'])
    torch.save(taef2_decoder(8).state_dict(), paths['decoder'])
    config = {**FEATURES['taef2'], 'checkpoint': str(paths['encoder'])}
    without, features = build(config), build(config, decoder_checkpoint=str(paths['decoder']))
    for loaded in (without, features):
        loaded.init_weights()
    assert without.weights_digest() == features.weights_digest() != build(FEATURES['taef2']).weights_digest()
    picture = features.decode(features(torch.rand(1, 3, 16, 24)))
    assert picture.shape == (1, 3, 16, 24)
    assert picture.min() >= 0 and picture.max() <= 1
    with pytest.raises(ConfigError, match='has no decoder'):
        without.decode(without(torch.rand(1, 3, 16, 24)))
    with pytest.raises(CheckpointError, match=r'd\.pth is not the encoder of TAEF2'):
        build(FEATURES['taef2'], checkpoint=str(paths['decoder'])).init_weights()


def test_published_taef2_has_79_tensors_and_1_34_million_numbers():
    for network in (taef2_encoder(), taef2_decoder()):
        state = network.state_dict()
        assert len(state) == 79
        assert sum(value.numel() for value in state.values()) == pytest.approx(1.34e6, rel=0.01)


def test_vit_features_are_the_patches_of_the_chosen_block(tmp_path):
    source = MODELS.build(dict(type='MIMVisionTransformer', mask_token=True, **VIT))
    torch.save({f'tokenizer.backbone.{k}': v for k, v in source.state_dict().items()}
               | {f'backbone.{k}': v + 1 for k, v in source.state_dict().items()}, tmp_path / 'pair.pth')  # fmt: skip
    config = dict(FEATURES['vit'], backbone={**VIT, 'out_indices': 0}, checkpoint=str(tmp_path / 'pair.pth'))
    images = torch.rand(1, 3, 32, 32)
    normalised = (images * 255 - torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)) / torch.tensor(
        [58.395, 57.12, 57.375]
    ).view(3, 1, 1)
    wanted = source.eval().intermediate_tokens(normalised, 2, norm=False)[0][:, 1:].unflatten(1, (4, 4))
    plain, unit = build(config, l2_norm=False), build(config)
    for features in (plain, unit):
        features.init_weights()
    assert torch.allclose(plain(images), wanted, atol=1e-5)
    assert torch.allclose(unit(images).norm(dim=-1), torch.ones(1, 4, 4))
    assert plain.settings() != unit.settings()
    assert not any('backbone' in name for name, _ in unit.named_modules())


def test_timm_reads_a_named_file(tmp_path):
    timm = pytest.importorskip('timm')
    source = timm.create_model('test_convnext')
    torch.save(source.state_dict(), tmp_path / 'model.pth')
    features = build(FEATURES['timm'], checkpoint=str(tmp_path / 'model.pth'), l2_norm=False)
    before = features.weights_digest()
    features.init_weights()
    assert features.weights_digest() != before
    images = torch.rand(1, 3, 32, 32)
    wanted = timm.create_model('test_convnext', features_only=True, out_indices=(1,))
    wanted.load_state_dict({k.replace('stages.', 'stages_').replace('stem.', 'stem_'): v
                            for k, v in source.state_dict().items()}, strict=False)  # fmt: skip
    mean, std = (torch.tensor(source.pretrained_cfg[key]).view(3, 1, 1) for key in ('mean', 'std'))
    expected = wanted.eval()((images - mean) / std)[0].permute(0, 2, 3, 1)
    assert torch.allclose(features(images), expected, atol=1e-5)

    torch.save({'weight': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='does not fit the timm model test_convnext'):
        build(FEATURES['timm'], checkpoint=str(tmp_path / 'other.pth')).init_weights()
    with pytest.raises(CheckpointError, match=r'gone\.pth does not exist'):
        build(FEATURES['timm'], checkpoint=str(tmp_path / 'gone.pth')).init_weights()


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('timm', dict(model='resnet9000'), "timm has no model 'resnet9000'"),
        ('timm', dict(out_index=9), 'no feature map features.out_index=9'),
        ('color-gradient', dict(cells=3), 'features.cells=3 does not divide'),
    ],
)
def test_wrong_settings_are_refused(name, changes, message):
    with pytest.raises(ConfigError, match=message):
        build(FEATURES[name], **changes)


def test_timm_missing_is_one_clear_message(monkeypatch):
    real = builtins.__import__

    def without_timm(name, *args, **kwargs):
        if name == 'timm':
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without_timm)
    with pytest.raises(ConfigError, match='pip install timm'):
        MODELS.build(FEATURES['timm'])


def test_a_file_for_features_without_weights_is_refused():
    with pytest.raises(ConfigError, match='has no weights'):
        build(FEATURES['pixels']).load_checkpoint('x.pth')
