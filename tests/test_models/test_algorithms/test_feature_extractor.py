import pytest
import torch
from torch import nn

from mim_plugin.errors import ConfigError
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
