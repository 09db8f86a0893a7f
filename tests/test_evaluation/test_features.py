import pytest
import torch
from torch.utils.data import ConcatDataset

from mim_plugin.errors import ConfigError, DataError
from mim_plugin.evaluation.features import extract_features
from tests.test_evaluation.toys import ToyImages, toy_extractor, toy_loader


def test_rows_come_in_the_order_of_the_data_set():
    dataset, model = ToyImages(), toy_extractor()
    plain = extract_features(model, toy_loader(dataset))
    mixed = extract_features(model, toy_loader(dataset, 3, shuffle=True))
    assert plain.features.shape == (40, 6)
    assert plain.features.dtype == torch.float32
    assert torch.equal(plain.indices, torch.arange(40))
    assert torch.equal(plain.labels, dataset.labels)
    assert torch.allclose(plain.features, mixed.features, atol=1e-6)


def test_normalized_rows_have_length_one():
    features = extract_features(toy_extractor(), toy_loader(ToyImages()), normalize=True).features
    assert torch.allclose(features.norm(dim=1), torch.ones(40))


def test_repeated_samples_stay_once():
    sampler = [*range(40), 0, 1, 1]
    assert len(extract_features(toy_extractor(), toy_loader(ToyImages(), sampler=sampler))) == 40


def test_images_need_no_label():
    features = extract_features(toy_extractor(), toy_loader(ToyImages(labelled=False)))
    assert (features.labels == -1).all()
    assert len(features.labelled()) == 0


def test_the_model_goes_on_as_before():
    model = toy_extractor().train()
    model.backbone.projection.eval()
    extract_features(model, toy_loader(ToyImages()), device='cpu')
    assert model.training
    assert model.backbone.training
    assert not model.backbone.projection.training
    assert model.backbone.projection.weight.requires_grad


def test_two_data_sets_with_the_same_numbers_are_refused():
    with pytest.raises(ConfigError, match='40 different sample_idx'):
        extract_features(toy_extractor(), toy_loader(ConcatDataset([ToyImages(), ToyImages(20)])))


def test_features_that_are_not_finite_are_refused():
    model = toy_extractor()
    model.backbone.projection.bias.data[2] = float('nan')
    with pytest.raises(DataError, match='40 of 40 evaluated images are not finite'):
        extract_features(model, toy_loader(ToyImages()))
