import builtins

import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.logistic import build_classifier, draw_rows, logistic_regression

pytest.importorskip('sklearn')


def blobs(num, num_classes=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % num_classes
    features = torch.randn(num, 4, generator=generator)
    features[:, 0] += 3.0 * labels
    features[:, 1] *= 1000  # scaling matters
    return FeatureSet(features, labels, torch.arange(num))


def test_separable_classes_are_found():
    scores = logistic_regression(blobs(200), blobs(100, seed=1))
    assert set(scores) == {'accuracy', 'balanced_accuracy', 'auc'}
    assert min(scores.values()) > 85
    assert 'auc' not in logistic_regression(blobs(90, 3), blobs(60, 3, seed=1))


def test_few_labels_are_drawn_again_and_the_spread_is_told():
    options = {'labels_per_class': 5, 'draws': 4}
    scores = logistic_regression(blobs(200), blobs(100, seed=1), **options)
    assert set(scores) == {f'{name}{end}' for name in ('accuracy', 'balanced_accuracy', 'auc') for end in ('', '_std')}
    assert scores['accuracy_std'] > 0
    assert scores == logistic_regression(blobs(200), blobs(100, seed=1), **options)
    assert scores != logistic_regression(blobs(200), blobs(100, seed=1), seed=1, **options)


def test_draws_take_each_class_equally_and_no_row_twice():
    labels = torch.tensor([0] * 30 + [1] * 10 + [4] * 6)
    rows = draw_rows(labels, 6, seed=(0, 1))
    assert labels[rows].bincount().tolist() == [6, 6, 0, 0, 6]
    assert len(rows.unique()) == 18


def test_images_without_label_are_left_out():
    train, test = blobs(60), blobs(40, seed=1)
    unknown = FeatureSet(torch.full((3, 4), 1e6), torch.full((3,), -1), torch.arange(3))
    more = FeatureSet.cat([train, unknown])
    assert logistic_regression(more, test) == logistic_regression(train, test)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'labels_per_class': 31}, 'class 0 has only 30 training images'),
        ({'labels_per_class': 0}, '1 or more'),
        ({'scaling': 'unit'}, "scaling='unit'"),
    ],
)
def test_options_that_cannot_work_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        logistic_regression(blobs(60), blobs(10), **options)


def test_one_class_is_no_problem_to_learn():
    rows = blobs(10)
    with pytest.raises(ConfigError, match='two classes'):
        logistic_regression(rows.take(rows.labels == 0), rows)


def test_missing_scikit_learn_is_said_plainly(monkeypatch):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith('sklearn'):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.raises(ConfigError, match='needs scikit-learn'):
        build_classifier()
