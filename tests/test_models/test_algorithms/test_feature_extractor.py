import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.runner import load_checkpoint
from safetensors.torch import load_file
from torch import nn

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.algorithms import IBOT
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor, pooled_features
from tests.test_evaluation.toys import ToyBackbone, ToyPreprocessor, toy_extractor

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_pooling_modes():
    backbone = ToyBackbone()
    first, last = backbone.intermediate_tokens(IMAGES, 2)
    raw = backbone.intermediate_tokens(IMAGES, 1, norm=False)[0]
    patches = last[:, 1:].mean(1)
    assert torch.equal(pooled_features(backbone, IMAGES), last[:, 0])
    assert torch.equal(pooled_features(backbone, IMAGES, 2, 0), torch.cat([first[:, 0], last[:, 0]], 1))
    assert torch.equal(pooled_features(backbone, IMAGES, 2, 1), raw[:, 1:].mean(1))
    assert torch.equal(pooled_features(backbone, IMAGES, 2, 2), torch.cat([first[:, 0], last[:, 0], patches], 1))


def test_scales_are_averaged():
    model = toy_extractor(scales=(1.0, 0.7))
    small = nn.functional.interpolate(IMAGES, scale_factor=0.7, mode='bilinear')  # 5 x 5, of which 4 x 4 fill a patch
    expected = (model.backbone.forward_tokens(IMAGES) + model.backbone.forward_tokens(small[..., :4, :4])[:, :1])[:, 0]
    features = model.extract_feat(IMAGES)
    assert torch.allclose(features, nn.functional.normalize(expected, dim=1), atol=1e-6)


def test_predict_sets_the_feature_of_each_sample():
    model = toy_extractor()
    samples = model(IMAGES, mode='predict')
    assert torch.equal(torch.stack([sample.feature for sample in samples]), model(IMAGES))


class Algorithm(nn.Module):
    def __init__(self, with_teacher=True):
        super().__init__()
        self.data_preprocessor = ToyPreprocessor()
        self.backbone = ToyBackbone(seed=1)
        self.tokenizer = nn.Module()
        if with_teacher:
            self.tokenizer.backbone = ToyBackbone(seed=2)


def test_networks_of_an_algorithm_are_shared():
    model = Algorithm()
    assert FeatureExtractor.from_algorithm(model).backbone is model.tokenizer.backbone
    assert FeatureExtractor.from_algorithm(model, network='student').backbone is model.backbone
    assert FeatureExtractor.from_algorithm(model).data_preprocessor is model.data_preprocessor
    assert FeatureExtractor.from_algorithm(Algorithm(with_teacher=False)).backbone is not None
    extractor = toy_extractor()
    assert FeatureExtractor.from_algorithm(extractor) is extractor


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'avgpool': 3}, 'avgpool=3'),
        ({'num_blocks': 0}, 'num_blocks=0'),
        ({'scales': ()}, 'scales'),
        ({'network': 'ema'}, "network='ema'"),
    ],
)
def test_options_that_cannot_work_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        toy_extractor(**options)


def test_uses_that_cannot_work_are_named():
    with pytest.raises(ConfigError, match='no loss'):
        toy_extractor()(IMAGES, mode='loss')
    with pytest.raises(ConfigError, match='num_blocks'):
        FeatureExtractor.from_algorithm(toy_extractor(), num_blocks=2)
    with pytest.raises(ConfigError, match='no backbone'):
        FeatureExtractor.from_algorithm(nn.Identity())


GOLDEN = Path(__file__).parents[2] / 'golden' / 'eval_linear_features_vit'
BACKBONE = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': 24, 'num_layers': 4, 'num_heads': 2, 'feedforward_channels': 24},
    'img_size': 32,
    'patch_size': 8,
    'pos_interpolation': 'ibot',
}


def test_figures_of_the_published_implementation():
    case = json.loads((GOLDEN / 'case.json').read_text())
    tensors = load_file(GOLDEN / 'tensors.safetensors')
    weights = {name.removeprefix('weights/backbone/'): value for name, value in tensors.items() if 'weights/' in name}
    for key, limits in case['outputs'].items():
        kind, num_blocks, avgpool = re.fullmatch(r'outputs/(\w+)_n(\d)_mode(\d)', key).groups()
        scales = (1.0, 0.5**0.5, 0.5) if kind == 'multiscale' else (1.0,)
        model = FeatureExtractor(BACKBONE, int(num_blocks), int(avgpool), scales).eval()
        model.load_state_dict(weights)  # under their original names
        with torch.no_grad():
            features = model(tensors['inputs/images'])
        torch.testing.assert_close(features, tensors[key], atol=limits['atol'], rtol=limits['rtol'])


@pytest.fixture(scope='module')
def training_checkpoint(tmp_path_factory):
    head = {'type': 'ProjectionHead', 'out_dim': 8, 'hidden_dim': 8, 'bottleneck_dim': 4}
    model = IBOT({**BACKBONE, 'mask_token': True}, head)
    with torch.no_grad():
        model.backbone.cls_token.add_(1)
    path = tmp_path_factory.mktemp('run') / 'epoch_1.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
    return model, path


@pytest.mark.parametrize('network', ['teacher', 'student'])
def test_network_of_a_training_checkpoint(training_checkpoint, network):
    algorithm, path = training_checkpoint
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = algorithm.eval().extract_feat(images, network)
    model = FeatureExtractor(BACKBONE, network=network).eval()
    load_checkpoint(model, str(path), map_location='cpu')  # mmengine's, as the runner calls it
    assert torch.equal(model.extract_feat(images), expected)
    again = FeatureExtractor(BACKBONE, network=network, init_cfg={'type': 'Pretrained', 'checkpoint': str(path)}).eval()
    again.init_weights()
    assert torch.equal(again.extract_feat(images), expected)
    assert torch.equal(FeatureExtractor.from_algorithm(algorithm, network).extract_feat(images), expected)


def test_weights_that_do_not_fit_are_refused(training_checkpoint):
    model = FeatureExtractor({**BACKBONE, 'patch_size': 4})
    with pytest.raises(CheckpointError, match='patch_embed'):
        load_checkpoint(model, str(training_checkpoint[1]), map_location='cpu')
