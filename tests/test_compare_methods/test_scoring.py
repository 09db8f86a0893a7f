import pytest
import torch
import torch.nn.functional as F

from mim_plugin.apis.compare_methods.scoring import baseline_rows, leave_one_out, score
from mim_plugin.apis.long_commands.labelled_images import LabelledImages, load_images
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.knn import knn_votes


def rows(features: torch.Tensor, labels: torch.Tensor) -> FeatureSet:
    return FeatureSet(features, labels, torch.arange(len(labels)))


def test_leave_one_out_is_knn_without_the_image_itself():
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    features = F.one_hot(labels, 3) + torch.randn(60, 3)
    right = 0
    for i in range(60):
        rest = torch.arange(60) != i
        votes = knn_votes(features[rest], labels[rest], features[i : i + 1], 20, num_classes=3)
        right += int(votes.argmax(1) == labels[i])
    assert leave_one_out(rows(features, labels)) == pytest.approx(100 * right / 60, abs=0.01)
    assert 40 < leave_one_out(rows(features, labels)) < 95


def test_leave_one_out_with_equal_images_and_few():
    labels = torch.tensor([0, 0, 0, 1])
    assert leave_one_out(rows(torch.ones(4, 2), labels)) == pytest.approx(75)


def test_score_of_features_that_tell_everything():
    labels = torch.arange(40) % 2
    features = F.one_hot(labels, 2) + 0.01 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    scores = score(rows(features[:30], labels[:30]), rows(features[30:], labels[30:]))
    assert scores['knn']['accuracy'] == scores['linear']['accuracy'] == 100
    assert scores['knn']['auc'] == 100


def test_baselines(images):
    pipeline = [dict(type='LoadImagePIL'), dict(type='CenterCrop', size=32), dict(type='PackImage')]
    parts = [load_images(images / split, pipeline) for split in ('train', 'val')]
    labelled = LabelledImages(*parts, ('a', 'b'))
    found = {row['name']: row for row in baseline_rows(labelled)}
    assert list(found) == ['majority class', 'raw thumbnails 16 x 16', 'standardised thumbnails']
    assert found['majority class']['knn'] == {'accuracy': 50.0, 'balanced': 50.0, 'auc': 50.0}
    assert all(0 <= row[key]['accuracy'] <= 100 for row in found.values() for key in ('knn', 'linear'))
