"""Lists of labelled images, one ``path label`` a line, as mmpretrain's CustomDataset and ImageNet read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from mim_plugin.errors import DataError

__all__ = ['imagenet_subset', 'inaturalist', 'write_list']

Listed = list[tuple[str, int]]


def inaturalist(annotations: str | Path) -> Listed:
    """Images and labels of an annotation file of iNaturalist 2018 or 2019.

    Args:
        annotations: ``train2018.json`` or the like; its paths begin with the folder of images (``train_val2018/``).

    Returns:
        A path and a label for each image. Labels count the file's categories in the order of their ids.

    Raises:
        DataError: The file is missing, is not of this kind, or has an image without a label.
    """
    annotations = Path(annotations)
    if not annotations.is_file():
        raise DataError(f'There is no annotation file {annotations}; download it from the page of iNaturalist.')
    try:
        content = json.loads(annotations.read_text(encoding='utf-8'))
        names = {image['id']: image['file_name'] for image in content['images']}
        labels = {category: i for i, category in enumerate(sorted(entry['id'] for entry in content['categories']))}
        label_of = {entry['image_id']: labels[entry['category_id']] for entry in content['annotations']}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f'{annotations} is no annotation file of iNaturalist ({type(error).__name__}: {error}); name one with '
            'images, categories and annotations, which those of the test set have not.'
        ) from error
    if without := [name for key, name in names.items() if key not in label_of]:
        raise DataError(f'{annotations} has no label for {len(without)} images, the first is {without[0]}.')
    return [(name, label_of[key]) for key, name in names.items()]


def imagenet_subset(names: str | Path, train_folder: str | Path) -> Listed:
    """Images and labels of a part of ImageNet that is given by file names, such as SimCLR's 1 % and 10 %.

    Args:
        names: File with one name a line, ``n01440764_10042.JPEG``.
        train_folder: The whole training set, a folder for each class; labels count the sorted folders.

    Returns:
        A path below ``train_folder`` and a label for each name.

    Raises:
        DataError: The file or a class is missing, or the first image of the list is.
    """
    names, train_folder = Path(names), Path(train_folder)
    if not names.is_file():
        raise DataError(f'There is no list of names {names}; SimCLR publishes 1percent.txt and 10percent.txt.')
    if not train_folder.is_dir():
        raise DataError(f'There is no folder {train_folder}; name the one with the 1000 folders of training images.')
    labels = {folder.name: i for i, folder in enumerate(sorted(p for p in train_folder.iterdir() if p.is_dir()))}
    listed = []
    for name in filter(None, names.read_text(encoding='utf-8').split()):
        folder = name.partition('_')[0]
        if folder not in labels:
            raise DataError(f'{names} names {name}, but {train_folder} has no class {folder}.')
        listed.append((f'{folder}/{name}', labels[folder]))
    if not listed:
        raise DataError(f'{names} names no images.')
    if not (train_folder / listed[0][0]).is_file():
        raise DataError(f'{train_folder / listed[0][0]}, the first image of {names}, is missing.')
    return listed


def write_list(listed: Iterable[tuple[str, int]], target: str | Path) -> Path:
    """Write a list, in a new folder if need be; returns its path."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(''.join(f'{name} {label}\n' for name, label in listed), encoding='utf-8')
    return target
