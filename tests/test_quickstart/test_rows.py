from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from PIL import Image

from mim_plugin.apis.quickstart.features import LabelledImages, auc_error, baseline_rows, score_features
from mim_plugin.apis.quickstart.layout import SceneFolders
from mim_plugin.apis.quickstart.segmentation import color_row, read_mask, scene_pairs
from mim_plugin.errors import DataError
from mim_plugin.evaluation.feature_set import FeatureSet


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mim_plugin.apis.quickstart.features.DRAWS', 2)
    monkeypatch.setattr('mim_plugin.apis.quickstart.features.STRENGTHS', (1.0, 0.1, 0.01))


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


@pytest.fixture
def colored_scenes(tmp_path: Path) -> SceneFolders:
    rng = np.random.default_rng(0)
    for split, count in (('training', 4), ('validation', 2)):
        for kind in ('images', 'annotations'):
            (tmp_path / 'scenes' / kind / split).mkdir(parents=True)
        for i in range(count):
            mask = np.zeros((40, 30), dtype=np.uint8)
            mask[:, 15:] = 1
            mask[:3] = 9  # no class
            image = rng.integers(0, 60, (40, 30, 3)) + np.where(mask == 1, 180, 0)[..., None]
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / 'scenes' / 'images' / split / f'{i}.png')
            Image.fromarray(mask).save(tmp_path / 'scenes' / 'annotations' / split / f'{i}.png')
    return SceneFolders(tmp_path / 'scenes', ('dark', 'bright'), ((0, 0, 0), (255, 255, 255)))


def test_color_classifier_solves_what_color_solves(colored_scenes: SceneFolders, tmp_path: Path):
    pytest.importorskip('mmseg')
    row = color_row(colored_scenes, tmp_path / 'out', seed=0)
    assert row['mIoU'] > 90 and row['aAcc'] > 95
    assert np.asarray(Image.open(tmp_path / 'out' / '0.png')).shape == (40, 30)


def test_a_label_beyond_the_classes_is_not_counted(colored_scenes: SceneFolders):
    _, mask = scene_pairs(colored_scenes, 'validation')[0]
    assert set(np.unique(read_mask(mask, 2))) == {0, 1, 255}


def test_scene_pairs_name_a_missing_mask_and_mixed_endings(colored_scenes: SceneFolders):
    folder = colored_scenes.root / 'images' / 'training'
    Image.new('RGB', (4, 4)).save(folder / 'extra.png')
    with pytest.raises(DataError, match='extra.png has no mask'):
        scene_pairs(colored_scenes, 'training')
    Image.new('RGB', (4, 4)).save(folder / 'extra.jpg')
    with pytest.raises(DataError, match='.jpg and .png files'):
        scene_pairs(colored_scenes, 'training')
