"""What a data folder offers: images to pretrain on, class folders, images with masks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mim_plugin.datasets.files import find_images
from mim_plugin.errors import DataError
from mim_plugin.visualization.style import class_colors

__all__ = ['ClassFolders', 'ImageData', 'SceneFolders', 'detect_layout', 'labelled_folder', 'read_scenes']

IGNORE_INDEX = 255
SPLITS = ('training', 'validation')


@dataclass(frozen=True)
class ClassFolders:
    """Images sorted into one folder a class: ``train/CLASS/*`` and ``val/CLASS/*``.

    Attributes:
        train: Folder of the labelled training images.
        val: Folder of the test images.
        names: Class names, sorted.
        target: What is told apart, for people.
    """

    train: Path
    val: Path
    names: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class SceneFolders:
    """Images with masks, laid out as ADE20K: ``{images,annotations}/{training,validation}``.

    Attributes:
        root: The folder that holds ``images`` and ``annotations``.
        names: Class names in the order of the labels 0, 1, ...; any other label is not counted.
        palette: One RGB triple a class.
        composed: True if the images were put together by a program, which the report must say.
    """

    root: Path
    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    composed: bool = False


@dataclass(frozen=True)
class ImageData:
    """Everything that a folder offers; a part without labels is None.

    Attributes:
        name: Short name, for people.
        images: Folder of unlabelled training images, searched recursively.
        classes: Labelled images for the rows of frozen features.
        scenes: Images with masks for the segmentation.
    """

    name: str
    images: Path
    classes: ClassFolders | None = None
    scenes: SceneFolders | None = None


def _class_folders(root: Path) -> ClassFolders | None:
    train, val = root / 'train', root / 'val'
    if not (train.is_dir() and val.is_dir()):
        return None
    names = tuple(sorted(folder.name for folder in train.iterdir() if folder.is_dir()))
    if not names:
        return None
    unknown = sorted({folder.name for folder in val.iterdir() if folder.is_dir()} - set(names))
    if unknown or len(names) < 2:
        problem = f'has class folders that train lacks: {", ".join(unknown[:5])}' if unknown else 'needs two classes'
        raise DataError(f'{val} {problem}: give {train} and {val} the same class folders, at least two.')
    return ClassFolders(train, val, names, f'{len(names)} classes')


def _highest_label(folder: Path) -> int:
    highest = -1
    for path in sorted(folder.glob('*.png')):
        with Image.open(path) as mask:
            values = np.unique(np.asarray(mask))
        highest = max(highest, *(int(value) for value in values if value != IGNORE_INDEX), -1)
    return highest


def read_scenes(root: Path, composed: bool = False) -> SceneFolders:
    """Reads the class list of a folder in the ADE20K layout.

    Masks are single-channel PNG whose values are the classes, starting at 0; 255 and every value beyond the
    class list is not counted. ``classes.json`` is optional: ``{"classes": [names], "palette_rgb": [[r, g, b]]}``.
    Without it the classes are counted from the training masks.

    Args:
        root: Folder with ``images`` and ``annotations``.
        composed: Passed on.

    Returns:
        The description.

    Raises:
        DataError: If the masks hold no class or ``classes.json`` cannot be read.
    """
    described = root / 'classes.json'
    content: dict = {}
    if described.is_file():
        try:
            content = json.loads(described.read_text(encoding='utf-8'))
            names: Sequence[str] = tuple(str(name) for name in content['classes'])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f'{described} is no class list ({error}): write {{"classes": ["name", ...]}} or remove the file.'
            ) from error
    else:
        names = tuple(f'class {i}' for i in range(_highest_label(root / 'annotations' / SPLITS[0]) + 1))
    if len(names) < 2:
        raise DataError(f'{root / "annotations"} holds fewer than two classes: masks are PNG with labels 0, 1, ...')
    palette = content.get('palette_rgb') or content.get('palette') or class_colors(len(names))
    if len(palette) < len(names):
        palette = class_colors(len(names))
    return SceneFolders(root, tuple(names), tuple(tuple(color) for color in palette[: len(names)]), composed)


def detect_layout(root: str | Path) -> ImageData:
    """Finds out what a user's folder offers.

    Args:
        root: Any of: class folders (``train/CLASS``, ``val/CLASS``), the ADE20K layout
            (``{images,annotations}/{training,validation}``), both, or just images in any depth.

    Returns:
        The description. Validation images are never pretrained on.

    Raises:
        DataError: If the folder is missing, or a layout is incomplete.
    """
    root = Path(root).expanduser().resolve()
    if not root.is_dir():
        raise DataError(f'--data {root} is no folder: give a folder that holds images.')
    classes = _class_folders(root)
    scenes = None
    if (root / 'images' / SPLITS[0]).is_dir():
        parts = [root / kind / split for kind in ('images', 'annotations') for split in SPLITS]
        missing = [str(part) for part in parts if not part.is_dir()]
        if missing:
            raise DataError(f'{root} looks like the ADE20K layout but {missing[0]} is missing: add it.')
        scenes = read_scenes(root)
    if classes is not None:
        images = classes.train
    else:
        images = root / 'images' / SPLITS[0] if scenes is not None else root
    return ImageData(root.name, images, classes, scenes)


def labelled_folder(data: Path) -> ClassFolders:
    """Class folders of a data folder, none of which is empty.

    Raises:
        DataError: There are none, or one holds no image.
    """
    classes = detect_layout(data).classes
    if classes is None:
        raise DataError(f'{data} has no class folders: give a folder with train/CLASS/* and val/CLASS/*.')
    for part in (classes.train, classes.val):
        for name in classes.names:
            if not (part / name).is_dir() or not find_images(str(part / name)):
                raise DataError(f'{part / name} holds no image: each class needs some in train and in val.')
    return classes
