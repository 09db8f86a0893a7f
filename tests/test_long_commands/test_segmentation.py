from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim_plugin.apis.long_commands.color_classifier import color_row
from mim_plugin.apis.long_commands.folders import SceneFolders
from mim_plugin.apis.long_commands.segmentation import read_mask, scene_pairs
from mim_plugin.errors import DataError


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
