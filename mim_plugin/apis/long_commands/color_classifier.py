"""Figures of a segmentation that need no network: a classifier that sees colour only, and one class everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from mim_plugin.apis.long_commands.folders import IGNORE_INDEX, SPLITS, SceneFolders
from mim_plugin.apis.long_commands.segmentation import read_mask, scene_pairs
from mim_plugin.errors import ConfigError

__all__ = ['ColorClassifier', 'color_row', 'constant_row']

BLURS = (0, 3, 8)  # radii in pixels of the copies whose colours the classifier sees
PIXELS_A_SCENE = 1500


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

    def fit(self, pairs: list[tuple[Path, Path]], num_classes: int, seed: int) -> ColorClassifier:
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
