import torch

from mim_plugin.evaluation.baselines import Standardizer, majority_baseline, thumbnail_features
from mim_plugin.evaluation.feature_set import FeatureSet


def as_set(features):
    rows = torch.arange(len(features))
    return FeatureSet(features, rows % 2, rows)


def test_majority_is_that_of_the_training_labels():
    train, test = torch.tensor([1, 1, 0]), torch.tensor([0, 0, 0, 1])
    assert majority_baseline(train, test) == {'accuracy': 25.0, 'balanced_accuracy': 50.0, 'auc': 50.0}
    assert 'auc' not in majority_baseline(torch.tensor([0, 1, 2]), test)
    assert majority_baseline(torch.tensor([2, 2]), test)['balanced_accuracy'] == 0


def test_thumbnails_of_images_of_any_size():
    image = torch.zeros(3, 32, 64, dtype=torch.uint8)
    image[0, :, 32:] = 200
    features = thumbnail_features([image, image[:, :20, :]], size=2)
    assert features.tolist() == [[0, 200, 0, 200] + [0] * 8] * 2
    assert thumbnail_features([image], size=2, grey=True).shape == (1, 4)


def test_standardizer_leaves_out_constant_dimensions():
    features = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 7 + 100
    features[:, 1] = 123.4
    scaled = Standardizer(as_set(features))(as_set(features)).features
    assert torch.allclose(scaled.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(scaled.std(0, correction=0), torch.tensor([1.0, 0.0, 1.0]), atol=1e-5)
