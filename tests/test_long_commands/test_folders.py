import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim_plugin.apis.long_commands.folders import detect_layout, read_scenes
from mim_plugin.errors import DataError


def write_image(path: Path, value: int = 0, mode: str = 'RGB') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8), value if mode == 'L' else (value, value, value)).save(path)


def write_scenes(root: Path, labels: tuple[int, ...] = (0, 1, 11)) -> None:
    for split in ('training', 'validation'):
        write_image(root / 'images' / split / 'a.png')
        (root / 'annotations' / split).mkdir(parents=True)
        Image.fromarray(np.array([labels], dtype=np.uint8)).save(root / 'annotations' / split / 'a.png')


def test_any_folder_of_images(tmp_path: Path):
    write_image(tmp_path / 'deep' / 'er' / 'a.png')
    data = detect_layout(tmp_path)
    assert (data.images, data.classes, data.scenes) == (tmp_path, None, None)


def test_class_folders_pretrain_on_the_training_part_only(tmp_path: Path):
    for split in ('train', 'val'):
        for name in ('dog', 'cat'):
            write_image(tmp_path / split / name / 'a.png')
    data = detect_layout(tmp_path)
    assert data.images == tmp_path / 'train'
    assert data.classes.names == ('cat', 'dog')


def test_validation_classes_must_be_known(tmp_path: Path):
    for folder in ('train/cat', 'train/dog', 'val/cat', 'val/cow'):
        write_image(tmp_path / folder / 'a.png')
    with pytest.raises(DataError, match='cow'):
        detect_layout(tmp_path)


def test_ade_layout_with_a_class_list_and_a_void_label(tmp_path: Path):
    write_scenes(tmp_path)
    (tmp_path / 'classes.json').write_text(json.dumps({'classes': ['sky', 'road'], 'palette_rgb': [[1, 2, 3]] * 3}))
    data = detect_layout(tmp_path)
    assert data.images == tmp_path / 'images' / 'training'
    assert data.scenes.names == ('sky', 'road')
    assert data.scenes.palette == ((1, 2, 3), (1, 2, 3))


def test_classes_are_counted_from_the_masks_without_a_list(tmp_path: Path):
    write_scenes(tmp_path, labels=(0, 2, 255))
    assert read_scenes(tmp_path).names == ('class 0', 'class 1', 'class 2')


def test_incomplete_ade_layout_names_what_is_missing(tmp_path: Path):
    write_scenes(tmp_path)
    (tmp_path / 'annotations' / 'validation' / 'a.png').unlink()
    (tmp_path / 'annotations' / 'validation').rmdir()
    with pytest.raises(DataError, match='annotations/validation is missing'):
        detect_layout(tmp_path)


def test_damaged_class_list(tmp_path: Path):
    write_scenes(tmp_path)
    (tmp_path / 'classes.json').write_text('[]')
    with pytest.raises(DataError, match='classes.json is no class list'):
        detect_layout(tmp_path)


def test_missing_folder(tmp_path: Path):
    with pytest.raises(DataError, match='no folder'):
        detect_layout(tmp_path / 'nowhere')
