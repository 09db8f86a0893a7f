"""What the toolboxes' models predict: whose they are, how it is drawn, how it is said in a line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from mim_plugin.errors import ConfigError

__all__ = ['Task', 'check_toolbox', 'place_of_name', 'task_of']

_SHOWN = 5
_INSTALL = {
    'mmseg': 'pip install onedl-mmsegmentation (or mmsegmentation, beside packages of the original family)',
    'mmdet': 'pip install onedl-mmdetection (or mmdet, beside packages of the original family)',
    'mmpretrain': 'pip install onedl-mmpretrain (or mmpretrain, beside packages of the original family)',
}
_SMALL = 256  # pixels of the shorter side below which there is no room for a class name

# Draws the prediction for an RGB image (H, W, 3) uint8 into a file.
Drawer = Callable[[np.ndarray, BaseDataElement, str], None]


@dataclass(frozen=True)
class Task:
    """A kind of model.

    Attributes:
        base_class: Name of the toolbox's class that its models inherit from.
        drawer: ``(model, score_threshold, opacity)`` gives what draws its predictions, by the toolbox's visualizer.
        describe: ``(model, sample, score_threshold)`` says a prediction in a line.
    """

    base_class: str
    drawer: Callable[[nn.Module, float, float], Drawer]
    describe: Callable[[nn.Module, BaseDataElement, float], str]


def task_of(model: nn.Module) -> Task:
    """The task of a model.

    Raises:
        ConfigError: It is none of a toolbox's segmentors, detectors and classifiers.
    """
    bases = {base.__name__ for base in type(model).__mro__}
    for task in _TASKS:
        if task.base_class in bases:
            return task
    raise ConfigError(
        f'{type(model).__name__} predicts nothing to show; take a config of configs/segmentation, detection or '
        'classification (a pretrained backbone is fine-tuned with one of them first).'
    )


def check_toolbox(cfg: Config) -> None:
    """Raise a ConfigError if the toolbox that a config is for is missing."""
    toolbox = cfg.get('default_scope', '')
    if toolbox in _INSTALL and importlib.util.find_spec(toolbox) is None:
        raise ConfigError(f'{cfg.filename} needs {toolbox}, which is not installed: {_INSTALL[toolbox]}.')


def _names(model: nn.Module, number: int) -> Sequence[str]:
    names = model.dataset_meta.get('classes') or ()
    return names if len(names) == number else [f'class {label}' for label in range(number)]


def _palette(model: nn.Module, number: int) -> list:
    palette = model.dataset_meta.get('palette')
    if isinstance(palette, (list, tuple)) and len(palette) >= number:
        return palette
    return np.random.default_rng(42).integers(32, 256, (number, 3)).tolist()


def _segment_drawer(model: nn.Module, score_threshold: float, opacity: float) -> Drawer:
    from mmseg.structures import SegDataSample
    from mmseg.visualization import SegLocalVisualizer

    class Visualizer(SegLocalVisualizer):
        def _get_center_loc(self, mask: np.ndarray) -> np.ndarray:
            return place_of_name(mask)

    visualizer = Visualizer(alpha=opacity)
    # Without names of its own mmseg's visualizer would write those of Cityscapes.
    names = _names(model, model.num_classes)
    visualizer.set_dataset_meta(names, _palette(model, len(names)))

    def draw(image: np.ndarray, sample: BaseDataElement, path: str) -> None:
        labels = sample.pred_sem_seg.data
        factor = -(-_SMALL // min(image.shape[:2]))  # there is no room for names on a small image
        image = image.repeat(factor, 0).repeat(factor, 1)
        labels = labels.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
        enlarged = SegDataSample(pred_sem_seg=PixelData(data=labels))
        visualizer.add_datasample('', image, enlarged, draw_gt=False, out_file=path)

    return draw


def place_of_name(mask: np.ndarray) -> np.ndarray:
    """Where mmseg writes the name of a class: in the middle of its longest row, found without sorting all its pixels.

    Args:
        mask: 1 at the pixels of the class, else 0, ``(H, W)``.

    Returns:
        Column and row.
    """
    row = int(mask.sum(1, dtype=np.int64).argmax())
    columns = np.flatnonzero(mask[row])
    return np.array([columns[len(columns) // 2], row])


def _describe_segments(model: nn.Module, sample: BaseDataElement, score_threshold: float) -> str:
    labels, pixels = np.unique(sample.pred_sem_seg.data.numpy(), return_counts=True)
    names = _names(model, model.num_classes)
    percent = 100 * pixels / pixels.sum()
    largest = [i for i in np.argsort(-percent)[:_SHOWN] if percent[i] >= 0.5]
    return ', '.join(f'{names[labels[i]]} {percent[i]:.0f} %' for i in largest)


def _object_drawer(model: nn.Module, score_threshold: float, opacity: float) -> Drawer:
    from mmdet.visualization import DetLocalVisualizer

    visualizer = DetLocalVisualizer(alpha=opacity)
    visualizer.dataset_meta = model.dataset_meta

    def draw(image: np.ndarray, sample: BaseDataElement, path: str) -> None:
        visualizer.add_datasample('', image, sample, draw_gt=False, pred_score_thr=score_threshold, out_file=path)

    return draw


def _describe_objects(model: nn.Module, sample: BaseDataElement, score_threshold: float) -> str:
    found = sample.pred_instances
    found = found[found.scores > score_threshold]
    names = model.dataset_meta.get('classes')
    pairs = zip(found.labels.tolist(), found.scores.tolist(), strict=True)
    best = sorted(pairs, key=lambda pair: -pair[1])[:_SHOWN]
    listed = ', '.join(f'{names[label] if names else f"class {label}"} {score:.2f}' for label, score in best)
    return f'{len(found)} object{"" if len(found) == 1 else "s"}' + (f': {listed}' if listed else '')


def _class_drawer(model: nn.Module, score_threshold: float, opacity: float) -> Drawer:
    from mmpretrain.visualization import UniversalVisualizer

    visualizer = UniversalVisualizer()

    def draw(image: np.ndarray, sample: BaseDataElement, path: str) -> None:
        resize = _SMALL if min(image.shape[:2]) < _SMALL else None
        names = _names(model, len(sample.pred_score))
        visualizer.visualize_cls(image, sample, classes=names, draw_gt=False, resize=resize, out_file=path)

    return draw


def _describe_class(model: nn.Module, sample: BaseDataElement, score_threshold: float) -> str:
    names = _names(model, len(sample.pred_score))
    return ', '.join(f'{names[label]} {sample.pred_score[label]:.2f}' for label in sample.pred_label.tolist())


_TASKS = (
    Task('BaseSegmentor', _segment_drawer, _describe_segments),
    Task('BaseDetector', _object_drawer, _describe_objects),
    Task('BaseClassifier', _class_drawer, _describe_class),
)
