import math

import pytest
import torch

from mim_plugin.evaluation.scores import balanced_accuracy, roc_auc, top_k_accuracy


def test_top_k_accuracy_orders_equal_scores_by_class():
    scores = torch.tensor([[0.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
    assert top_k_accuracy(scores, torch.tensor([0, 1]), 1) == 0
    assert top_k_accuracy(scores, torch.tensor([0, 1]), 2) == 100
    assert top_k_accuracy(scores, torch.tensor([1, 1]), 2) == 50


def test_balanced_accuracy_weighs_classes_equally():
    predicted, labels = torch.tensor([0, 0, 0, 0, 0]), torch.tensor([0, 0, 0, 0, 3])
    assert balanced_accuracy(predicted, labels) == 50


def test_roc_auc_counts_pairs():
    assert roc_auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1])) == 75
    assert roc_auc(torch.ones(4), torch.tensor([0, 1, 0, 1])) == 50
    assert math.isnan(roc_auc(torch.rand(3), torch.ones(3)))


def test_scores_agree_with_scikit_learn():
    metrics = pytest.importorskip('sklearn.metrics')
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 20, (200,), generator=generator) / 20
    labels = torch.randint(0, 2, (200,), generator=generator)
    predicted = torch.randint(0, 2, (200,), generator=generator)
    assert roc_auc(scores, labels) == pytest.approx(100 * metrics.roc_auc_score(labels, scores))
    assert balanced_accuracy(predicted, labels) == pytest.approx(
        100 * metrics.balanced_accuracy_score(labels, predicted)
    )
