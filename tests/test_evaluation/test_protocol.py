import math

import pytest
import torch
from mmengine.evaluator import Evaluator

from mim_plugin.errors import ConfigError, DataError
from mim_plugin.evaluation import FrozenFeatureProtocol, KNNMetric, LogisticRegressionMetric
from mim_plugin.evaluation.baselines import Standardizer, thumbnail_features
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.features import extract_features
from mim_plugin.evaluation.knn import knn_accuracy
from tests.test_evaluation.toys import ToyImages, toy_extractor, toy_loader


def run(metrics, bank, test, model=None, **options):
    protocol = FrozenFeatureProtocol(Evaluator(metrics), toy_loader(bank), **options)
    return protocol.run(model or toy_extractor(), toy_loader(test, 4))


def pixels(dataset):
    return FeatureSet(thumbnail_features(dataset.images), dataset.labels, torch.arange(len(dataset)))


def test_figures_are_those_of_the_functions():
    bank, test, model = ToyImages(40), ToyImages(23, seed=1), toy_extractor()
    figures = run(KNNMetric(k=(3, 5)), bank, test, model)
    ours, theirs = (extract_features(model, toy_loader(part)) for part in (bank, test))
    expected = knn_accuracy(ours.features, ours.labels, theirs.features, theirs.labels, (3, 5))
    scale = Standardizer(pixels(bank))
    raw = knn_accuracy(scale(pixels(bank)).features, bank.labels, scale(pixels(test)).features, test.labels, (3, 5))
    majority = bank.labels.bincount().argmax()
    assert set(figures) == {
        *(f'knn/{start}top1_k{k}' for k in (3, 5) for start in ('', 'thumbnail_')),
        'knn/majority_accuracy',
        'knn/majority_balanced_accuracy',
    }
    for k in (3, 5):
        assert figures[f'knn/top1_k{k}'] == pytest.approx(expected[f'top1_k{k}'])
        assert figures[f'knn/thumbnail_top1_k{k}'] == pytest.approx(raw[f'top1_k{k}'])
    assert figures['knn/majority_accuracy'] == pytest.approx(100 * (test.labels == majority).double().mean())
    assert expected['top1_k5'] > 70


def test_several_metrics_and_two_classes():
    pytest.importorskip('sklearn')
    bank, test = ToyImages(40, 2), ToyImages(23, 2, seed=1)
    metrics = [KNNMetric(k=5), LogisticRegressionMetric(labels_per_class=4, draws=2)]
    figures = run(metrics, bank, test, baselines=False)
    assert set(figures) == {
        'knn/top1_k5',
        'knn/auc_k5',
        *(f'logistic/{key}{end}' for key in ('accuracy', 'balanced_accuracy', 'auc') for end in ('', '_std')),
    }
    assert all(math.isfinite(value) for value in figures.values())


def test_the_same_protocol_can_run_again():
    bank, test, model = ToyImages(40), ToyImages(23, seed=1), toy_extractor()
    protocol = FrozenFeatureProtocol(Evaluator(KNNMetric(k=5)), toy_loader(bank))
    assert protocol.run(model, toy_loader(test)) == protocol.run(model, toy_loader(test))


def test_random_states_and_training_flags_are_kept():
    model = toy_extractor().train()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    protocol = FrozenFeatureProtocol(Evaluator(KNNMetric(k=5)), toy_loader(ToyImages(), shuffle=True))
    protocol.run(model, toy_loader(ToyImages(8)))
    assert torch.equal(torch.rand(2), expected)
    assert model.training


def test_too_large_k_is_found_before_anything_runs():
    with pytest.raises(ConfigError, match='k=41 asks for more neighbours than the bank of 40'):
        FrozenFeatureProtocol(Evaluator(KNNMetric(k=41)), toy_loader(ToyImages(40)))


@pytest.mark.parametrize(
    ('bank', 'test', 'message'),
    [
        (ToyImages(labelled=False), ToyImages(), 'No image of bank_dataloader has a label'),
        (ToyImages(), ToyImages(labelled=False), 'No test image has a label'),
    ],
)
def test_labels_are_needed(bank, test, message):
    with pytest.raises(DataError, match=message):
        run(KNNMetric(k=5), bank, test)


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(ConfigError, match='A label is 2, but there are 2 classes'):
        run(KNNMetric(k=5, num_classes=2), ToyImages(), ToyImages())


def test_the_metric_needs_the_loop():
    with pytest.raises(ConfigError, match='FrozenFeatureLoop'):
        KNNMetric(k=5).process(None, [{}])


def leave_one_out(bank, k, model):
    metric = KNNMetric(k=k, leave_one_out=True)
    protocol = FrozenFeatureProtocol(Evaluator(metric), toy_loader(bank), baselines=False)
    protocol.check_leave_one_out()
    return protocol.run(model)


def test_each_image_against_all_others():
    bank, model = ToyImages(23, noise=60), toy_extractor()
    features, labels = extract_features(model, toy_loader(bank)).features, bank.labels
    scores = []
    for i in range(23):
        others, one = torch.arange(23) != i, slice(i, i + 1)
        scores.append(knn_accuracy(features[others], labels[others], features[one], labels[one], (5,), num_classes=3))
    mean = sum(score['top1_k5'] for score in scores) / 23
    assert leave_one_out(bank, 5, model) == {'knn/top1_k5': pytest.approx(mean)}
    assert 0 < mean < 100
    # Equal images lie beside each other, and only one of them is the query itself.
    bank.images[:] = bank.images[0]
    bank.labels[:] = 0
    assert leave_one_out(bank, 22, model) == {'knn/top1_k22': 100.0}


def test_what_cannot_leave_one_out():
    protocol = FrozenFeatureProtocol(Evaluator([KNNMetric(k=5)]), toy_loader(ToyImages(23)))
    with pytest.raises(ConfigError, match='KNNMetric does not leave one image out; use evaluator='):
        protocol.check_leave_one_out()
    with pytest.raises(ConfigError, match='k=23 asks for more'):
        leave_one_out(ToyImages(23), 23, toy_extractor())
