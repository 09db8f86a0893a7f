"""What :func:`mim_plugin.testing.shrink.shrink` does to a detector and to data in the layout of COCO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mim_plugin.apis.config_tree import type_name, walk_dicts
from mim_plugin.testing.coco_images import write_coco_folder

__all__ = ['generate_coco', 'is_coco', 'shrink_detector']

WIDTH = 64
LIMITS = {'num': 32, 'nms_pre': 64, 'max_per_img': 32}  # samples, proposals before and after suppression
_WIDTHS = ('out_channels', 'feat_channels', 'conv_out_channels', 'fc_out_channels')


def is_coco(dataset: dict) -> bool:
    """Whether a data set reads annotations in the layout of COCO."""
    return type_name(dataset).startswith('Coco')


def shrink_detector(cfg: Config, smaller: Callable[[Any], Any]) -> None:
    """Make heads narrow, samples and proposals few, and the sizes of random resizing small; changes ``cfg``.

    Args:
        cfg: The config; one without proposals (``model.rpn_head``) stays as it is.
        smaller: Makes a number of pixels, or each of a nested sequence, small.
    """
    model = cfg.get('model') or {}
    if 'rpn_head' not in model:
        return
    for _, entry in walk_dicts(model):
        for key in entry.keys() & set(_WIDTHS):
            entry[key] = min(entry[key], WIDTH)
        for key in entry.keys() & LIMITS.keys():
            entry[key] = min(entry[key], LIMITS[key])
        if 'allowed_border' in entry:
            entry['allowed_border'] = -1  # hardly an anchor is inside such small images
    for _, entry in walk_dicts(cfg):
        if type_name(entry) == 'RandomChoiceResize':
            entry['scales'] = smaller(entry['scales'])


def generate_coco(cfg: Config, dataset: dict, folder: Path) -> None:
    """Let one data set of a config, and the metrics that share its annotations, read generated images."""
    published = Path(dataset.get('data_root') or '') / dataset['ann_file']
    images, annotations = folder / dataset['data_prefix']['img'], folder / Path(dataset['ann_file']).name
    write_coco_folder(images, annotations, _classes(dataset))
    for _, entry in walk_dicts(cfg):
        if type_name(entry) == 'CocoMetric' and entry.get('ann_file') and Path(entry['ann_file']) == published:
            entry['ann_file'] = str(annotations)
    dataset.update(data_root=str(folder), ann_file=annotations.name)


def _classes(dataset: dict) -> tuple[str, ...]:
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes is None:
        from mmdet.datasets import CocoDataset

        classes = CocoDataset.METAINFO['classes']
    return tuple(classes)
