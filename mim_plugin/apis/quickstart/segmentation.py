"""Fine-tuning UPerNet on images with masks, and a classifier that sees colour only."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image, ImageFilter

from mim_plugin.apis.config_tree import walk_dicts
from mim_plugin.apis.quickstart.layout import IGNORE_INDEX, SPLITS, SceneFolders
from mim_plugin.errors import ConfigError, DataError

__all__ = ['ColorClassifier', 'color_row', 'constant_row', 'fit_segmentation_config', 'read_mask', 'scene_pairs']

BLURS = (0, 3, 8)  # radii in pixels of the copies whose colours the colour classifier sees
PIXELS_A_SCENE = 1500


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


def fit_segmentation_config(cfg: Config, scenes: SceneFolders, work_dir: Path) -> Config:
    """Points a segmentation config at a folder: paths, file endings, classes.

    Args:
        cfg: Config of a segmentor for some number of classes.
        scenes: The folders.
        work_dir: Where predictions of the validation images go.

    Returns:
        The same config, changed.
    """
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


class ColorClassifier:
    """Tells classes apart by the colour at a pixel and around it: quadratic discriminant analysis.

    Its nine inputs are RGB of the image and of two blurred copies (Gaussian, radius 3 and 8 pixels). It shows
    how far a segmentation gets without any texture or shape.

    Raises:
        ConfigError: If scikit-learn is missing.
    """

    def __init__(self) -> None:
        try:
            from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
        except ImportError as error:
            raise ConfigError('The colour classifier needs scikit-learn: run `pip install scikit-learn`.') from error
        self._model = QuadraticDiscriminantAnalysis(reg_param=1e-3)

    @staticmethod
    def _inputs(path: Path) -> np.ndarray:
        with Image.open(path) as file:
            image = file.convert('RGB')
        copies = [image.filter(ImageFilter.GaussianBlur(radius)) if radius else image for radius in BLURS]
        return np.concatenate([np.asarray(copy, dtype=np.float32) for copy in copies], axis=-1)

    def fit(self, pairs: list[tuple[Path, Path]], num_classes: int, seed: int) -> 'ColorClassifier':
        """Learns from random pixels of the training images.

        Args:
            pairs: (image, mask) files.
            num_classes: Labels from this number on are not counted.
            seed: Which pixels.

        Returns:
            Itself.
        """
        rng = np.random.default_rng(seed)
        inputs, labels = [], []
        for image, mask in pairs:
            target = read_mask(mask, num_classes).ravel()
            places = np.flatnonzero(target != IGNORE_INDEX)
            places = rng.permutation(places)[:PIXELS_A_SCENE]
            inputs.append(self._inputs(image).reshape(-1, 3 * len(BLURS))[places])
            labels.append(target[places])
        labels = np.concatenate(labels)
        # A class with fewer pixels than inputs has no covariance matrix.
        common = np.isin(labels, np.flatnonzero(np.bincount(labels) > 10 * 3 * len(BLURS)))
        self._model.fit(np.concatenate(inputs)[common], labels[common])
        return self

    def predict(self, path: Path) -> np.ndarray:
        """Classifies every pixel of an image file, ``(H, W)``."""
        inputs = self._inputs(path)
        return self._model.predict(inputs.reshape(-1, inputs.shape[-1])).reshape(inputs.shape[:2])


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


def color_row(scenes: SceneFolders, folder: Path, seed: int) -> dict:
    """Trains and measures the colour classifier, by the same metric as the networks.

    Args:
        scenes: Images with masks.
        folder: Gets the predicted masks.
        seed: Which pixels are learnt from.

    Returns:
        A row with ``mIoU`` and ``aAcc`` in percent.
    """
    model = ColorClassifier().fit(scene_pairs(scenes, SPLITS[0]), len(scenes.names), seed)
    folder.mkdir(parents=True, exist_ok=True)

    def predict(image: Path) -> np.ndarray:
        predicted = model.predict(image)
        Image.fromarray(predicted.astype(np.uint8)).save(folder / f'{image.stem}.png')
        return predicted

    return _row('colour classifier', scenes, predict)


def constant_row(scenes: SceneFolders, label: int) -> dict:
    """Measures the prediction of one class everywhere; a row as of :func:`color_row`."""
    return _row('majority class', scenes, lambda image: np.int64(label))


def _row(name: str, scenes: SceneFolders, predict: Callable[[Path], np.ndarray]) -> dict:
    from mmseg.evaluation import IoUMetric

    classes, areas = len(scenes.names), []
    for image, mask in scene_pairs(scenes, SPLITS[1]):
        truth = read_mask(mask, classes)
        predicted = np.broadcast_to(predict(image), truth.shape).astype(np.int64)
        pair = (torch.from_numpy(predicted), torch.from_numpy(truth))
        areas.append(IoUMetric.intersect_and_union(*pair, classes, IGNORE_INDEX))
    totals = [sum(parts) for parts in zip(*areas, strict=True)]
    metrics = IoUMetric.total_area_to_metrics(*totals)
    return {
        'name': name,
        'mIoU': round(100 * float(np.nanmean(metrics['IoU'])), 2),
        'aAcc': round(100 * float(metrics['aAcc']), 2),
    }
