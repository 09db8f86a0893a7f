"""Images with masks: reading them, fitting a config to them, a picture of what was predicted."""

from __future__ import annotations

import contextlib
import importlib
import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from PIL import Image

from mim_plugin.apis.config_tree import walk_dicts
from mim_plugin.apis.long_commands.folders import IGNORE_INDEX, SPLITS, SceneFolders
from mim_plugin.errors import DataError
from mim_plugin.visualization import draw_segmentation

__all__ = ['fit_segmentation_config', 'read_mask', 'scene_pairs', 'segmentation_picture']

SHOWN = 4  # images in the picture


def scene_pairs(scenes: SceneFolders, split: str) -> list[tuple[Path, Path]]:
    """Lists images with their masks.

    Args:
        scenes: The folders.
        split: ``training`` or ``validation``.

    Returns:
        (image, mask) files, sorted by name.

    Raises:
        DataError: If there is no image, an image has no mask, or the images have several file endings.
    """
    folder, masks = scenes.root / 'images' / split, scenes.root / 'annotations' / split
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in ('.jpg', '.jpeg', '.png', '.bmp'))
    if not images:
        raise DataError(f'{folder} holds no image: put .jpg or .png files there.')
    endings = sorted({path.suffix for path in images})
    if len(endings) > 1:
        raise DataError(f'{folder} holds {" and ".join(endings)} files: use one ending for all images.')
    pairs = [(path, masks / f'{path.stem}.png') for path in images]
    for image, mask in pairs:
        if not mask.is_file():
            raise DataError(f'{image} has no mask {mask}: add it or remove the image.')
    return pairs


def read_mask(path: Path, num_classes: int) -> np.ndarray:
    """Reads a mask; labels that are no class become 255.

    Args:
        path: Single-channel PNG.
        num_classes: Number of classes.

    Returns:
        ``(H, W)`` int64.

    Raises:
        DataError: If the file has several channels or cannot be read.
    """
    try:
        with Image.open(path) as file:
            labels = np.asarray(file).astype(np.int64)
    except OSError as error:
        raise DataError(f'{path} cannot be read ({error}): write the mask again as PNG.') from error
    if labels.ndim != 2:
        raise DataError(f'{path} has {labels.shape[-1]} channels: a mask has one, holding class numbers.')
    return np.where(labels < num_classes, labels, IGNORE_INDEX)


def fit_segmentation_config(cfg: Config, scenes: SceneFolders, work_dir: Path) -> Config:
    """Points a segmentation config at a folder: paths, file endings, classes.

    Args:
        cfg: Config of a segmentor for some number of classes.
        scenes: The folders.
        work_dir: Where predictions of the validation images go.

    Returns:
        The same config, changed.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints which other packages it could use
        importlib.import_module('mmseg.datasets')
    metainfo = {'classes': list(scenes.names), 'palette': [list(color) for color in scenes.palette]}
    loaders = [(cfg.train_dataloader, SPLITS[0]), (cfg.val_dataloader, SPLITS[1])]
    if cfg.get('test_dataloader'):
        loaders.append((cfg.test_dataloader, SPLITS[1]))
    for loader, split in loaders:
        loader.dataset.update(
            data_root=str(scenes.root),
            metainfo=metainfo,
            img_suffix=scene_pairs(scenes, split)[0][0].suffix,
            data_prefix={'img_path': f'images/{split}', 'seg_map_path': f'annotations/{split}'},
        )
        for transform in loader.dataset.pipeline:
            if 'num_classes' in transform:
                transform.num_classes = len(scenes.names)
    for _, entry in walk_dicts(cfg.model):
        if 'num_classes' in entry:
            entry['num_classes'] = len(scenes.names)
    cfg.val_evaluator.output_dir = str(work_dir / 'predictions')
    return cfg


def segmentation_picture(scenes: SceneFolders, predictions: dict[str, Path]) -> Figure:
    """Draws validation images with their masks and what each model predicted.

    Args:
        scenes: Images with masks.
        predictions: Name of a model -> folder of its predicted masks.

    Returns:
        The figure.
    """
    pairs = scene_pairs(scenes, SPLITS[1])
    chosen = pairs[:: max(1, len(pairs) // SHOWN)][:SHOWN]
    images = [np.asarray(Image.open(image).convert('RGB')) for image, _ in chosen]
    truths = [read_mask(mask, len(scenes.names)) for _, mask in chosen]
    found = {
        name: [np.asarray(Image.open(folder / f'{image.stem}.png')) for image, _ in chosen]
        for name, folder in predictions.items()
    }
    return draw_segmentation(images, truths, found, scenes.names, scenes.palette)
