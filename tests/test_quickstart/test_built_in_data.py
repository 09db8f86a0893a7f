import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim_plugin.apis.quickstart.scenes import MATERIALS, compose_scene, load_materials, prepare_scenes
from mim_plugin.apis.quickstart.solar import held_out, prepare_solar_cells, read_labels, split_summary


def test_held_out_is_thirty_percent_in_blocks():
    test = held_out(2624)
    assert test.mean() == pytest.approx(0.3, abs=0.002)
    assert (np.diff(test.astype(int)) != 0).sum() == 12  # borders between the parts


def test_both_parts_hold_defective_and_functional_cells():
    pytest.importorskip('elpv_dataset')
    paths, defective, kinds = read_labels()
    test = held_out(len(paths))
    assert len(paths) == 2624 and paths[0].is_file()
    assert abs(defective[test].mean() - defective[~test].mean()) < 0.06
    assert split_summary(defective, test, kinds).startswith('training 1836 cells (30 % defective')


def test_solar_cells_become_class_folders(tmp_path: Path):
    pytest.importorskip('elpv_dataset')
    folders = prepare_solar_cells(tmp_path, side=32, limit=60)
    paths, defective, _ = read_labels()
    test = held_out(len(paths))
    written = sorted(tmp_path.glob('*/*/*.png'))
    assert 60 <= len(written) <= 62
    for path in written:
        place = int(path.stem[4:]) - 1
        assert path.parent.name == ('defective' if defective[place] else 'functional')
        assert path.parent.parent == (folders.val if test[place] else folders.train)
    assert Image.open(written[0]).size == (32, 32)


def test_halves_of_a_photograph_do_not_overlap():
    pytest.importorskip('skimage')
    halves = load_materials()
    assert list(halves['training']) == list(MATERIALS)
    for name, file in MATERIALS.items():
        left, right = halves['training'][name], halves['validation'][name]
        from importlib import util

        whole = Image.open(Path(util.find_spec('skimage').origin).parent / 'data' / file).convert('RGB')
        assert (np.concatenate([left, right], axis=1) == np.asarray(whole)).all()


def test_a_scene_depends_on_its_seed_only():
    materials = {
        name: np.random.default_rng(i).integers(0, 256, (90, 70, 3), dtype=np.uint8) for i, name in enumerate('ab')
    }
    first, again, other = (compose_scene(np.random.default_rng(seed), materials, 64) for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(first, again))
    assert (first[0] != other[0]).any()
    assert first[0].shape == (64, 64, 3) and set(np.unique(first[1])) <= {0, 1}


def test_scenes_are_written_in_the_ade_layout(tmp_path: Path):
    pytest.importorskip('skimage')
    scenes = prepare_scenes(tmp_path, num_train=6, num_val=2, side=48)
    assert scenes.names == tuple(MATERIALS) and scenes.composed
    assert len(list((tmp_path / 'images' / 'training').glob('*.png'))) == 6
    labels = [np.asarray(Image.open(path)) for path in sorted((tmp_path / 'annotations').glob('*/*.png'))]
    assert len(labels) == 8 and max(mask.max() for mask in labels) < len(MATERIALS)
    assert json.loads((tmp_path / 'classes.json').read_text())['classes'] == list(MATERIALS)
