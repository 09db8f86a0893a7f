"""Generated images in the layouts of mmpretrain's data sets."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mim_plugin.apis.config_tree import type_name
from mim_plugin.registry import DATASETS
from mim_plugin.testing.images import generate_image, write_image_folder

__all__ = ['generate_classification_data']

IMAGES = 4
LABELS = (0, 1, 0, 1)


def generate_classification_data(dataset: dict, folder: Path) -> bool:
    """Let a data set of mmpretrain read a few generated images; changes ``dataset``.

    Args:
        dataset: Config of the data set.
        folder: Where the images go, a subfolder for each layout.

    Returns:
        Whether the type is one that this module knows.
    """
    write = _WRITERS.get(type_name(dataset))
    if write is None:
        return False
    root = folder / type_name(dataset).lower()
    root.mkdir(parents=True, exist_ok=True)
    write(dataset, root)
    dataset['data_root'] = str(root)
    return True


def _write_imagenet(dataset: dict, root: Path) -> None:
    write_image_folder(root / dataset['split'])
    dataset['metainfo'] = dict(classes=('class_0', 'class_1'))  # mmpretrain wants a folder for every class
    dataset.pop('ann_file', None)


def _write_listed(dataset: dict, root: Path) -> None:
    """Folders of classes, and the list of images if the config names one."""
    images = root / (dataset.get('data_prefix') or '')
    write_image_folder(images)
    if dataset.get('ann_file'):
        names = sorted(path.relative_to(images) for path in images.rglob('*.jpg'))
        listed = root / dataset['ann_file']
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text(''.join(f'{name} {label}\n' for label, name in enumerate(names)))


def _write_cifar(dataset: dict, root: Path) -> None:
    """CIFAR's own files; mmpretrain's class compares them with the checksums of the real ones, which is left out."""
    import mmpretrain.datasets

    name, rng = type_name(dataset), np.random.default_rng(0)
    original = getattr(mmpretrain.datasets, name)
    folder = root / original.base_folder
    folder.mkdir(exist_ok=True)
    for file, _ in (*original.train_list, *original.test_list):
        pixels = [np.asarray(generate_image(rng, (32, 32))).transpose(2, 0, 1).ravel() for _ in LABELS]
        labels = {'labels' if name == 'CIFAR10' else 'fine_labels': list(LABELS)}
        (folder / file).write_bytes(pickle.dumps({'data': np.stack(pixels)} | labels))
    small = type(name, (original,), {'_check_integrity': lambda self: True})
    DATASETS.register_module(name=name, module=small, force=True)
    dataset['type'] = f'mim_plugin.{name}'


def _write_flowers(dataset: dict, root: Path) -> None:
    from scipy.io import savemat

    _write_numbered(root / 'jpg', 'image_{:05d}.jpg')
    savemat(root / 'imagelabels.mat', {'labels': np.array(LABELS) + 1})
    half = np.arange(1, IMAGES + 1)
    savemat(root / 'setid.mat', {'trnid': half[:2], 'valid': half[2:], 'tstid': half})


def _write_cars(dataset: dict, root: Path) -> None:
    from scipy.io import savemat

    _write_numbered(root / 'car_ims', '{:06d}.jpg')
    rows = [(f'car_ims/{i + 1:06d}.jpg', label + 1, 0) for i, label in enumerate(LABELS)]
    rows += [(path, label, 1) for path, label, _ in rows]
    fields = [('relative_im_path', object), ('class', object), ('test', object)]
    savemat(root / 'cars_annos.mat', {'annotations': np.array(rows, dtype=fields)})


def _write_numbered(folder: Path, pattern: str) -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        generate_image(rng).save(folder / pattern.format(index + 1))


_WRITERS: dict[str, Callable[[dict, Path], None]] = {
    'ImageNet': _write_imagenet,
    'CustomDataset': _write_listed,
    'CIFAR10': _write_cifar,
    'CIFAR100': _write_cifar,
    'Flowers102': _write_flowers,
    'StanfordCars': _write_cars,
}
