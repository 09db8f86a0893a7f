import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mim_plugin.apis.long_commands.labelled_images import LabelledImages
from mim_plugin.apis.quickstart.features import auc_error, baseline_rows, score_features
from mim_plugin.evaluation.feature_set import FeatureSet


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mim_plugin.apis.quickstart.features.DRAWS', 2)
    monkeypatch.setattr('mim_plugin.apis.long_commands.frozen_features.STRENGTHS', (1.0, 0.1, 0.01))


def feature_set(labels: torch.Tensor, distance: float, seed: int) -> FeatureSet:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(labels), 6, generator=generator)
    features[:, 0] += distance * labels
    return FeatureSet(features, labels, torch.arange(len(labels)))


def test_scores_tell_good_features_from_useless_ones():
    labels = torch.arange(120) % 2
    good = score_features(feature_set(labels, 8.0, 0), feature_set(labels, 8.0, 1), seed=0)
    useless = score_features(feature_set(labels, 0.0, 0), feature_set(labels, 0.0, 1), seed=0)
    for protocol in ('knn', 'few', 'all'):
        assert good[protocol]['auc'] > 95 and good[protocol]['balanced'] > 90
        assert 30 < useless[protocol]['auc'] < 70


def test_scores_of_three_classes_have_no_roc_curve():
    labels = torch.arange(90) % 3
    scores = score_features(feature_set(labels, 6.0, 0), feature_set(labels, 6.0, 1), seed=0)
    assert 'auc' not in scores['knn'] and scores['all']['accuracy'] > 80


def test_baselines_see_brightness_and_no_more():
    def samples(seed: int) -> list[dict]:
        rng = np.random.default_rng(seed)
        result = []
        for i in range(60):
            label = i % 3 == 0
            pixels = torch.from_numpy(rng.integers(0, 100, (3, 16, 16)) + 120 * label).to(torch.uint8)
            data_sample = BaseDataElement()
            data_sample.gt_label = torch.tensor(int(label))
            result.append({'inputs': pixels, 'data_samples': data_sample})
        return result

    rows = baseline_rows(LabelledImages(samples(0), samples(1), ('dark', 'bright')), seed=0)
    assert rows[0]['name'] == 'majority class'
    assert rows[0]['knn'] == {'balanced': 50.0, 'accuracy': pytest.approx(66.67), 'auc': 50.0}
    assert all(row['all']['auc'] > 99 for row in rows[1:])


def test_auc_error_of_a_published_case():
    # Hanley and McNeil 1982, table of their example: area 0.893, 51 abnormal and 58 normal images, error 0.032.
    assert auc_error(89.3, 51, 58) == pytest.approx(3.2, abs=0.1)
