"""One clear message for masks that stop a segmenter."""

from __future__ import annotations

import re
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mim_plugin.apis.config_tree import type_name, walk_dicts

__all__ = ['explain_masks']

# torch's words for a label that is no class (CPU, GPU), for maps of different sizes, and Pillow's for a damaged mask.
_OF_MASKS = re.compile(
    r'Target \d+ is out of bounds|device-side assert|stack expects each tensor to be equal size'
    r'|shape of the mask .* does not match|cannot identify image file|image file is truncated'
)
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_ALL_LABELS = 256


def explain_masks(cfg: Config, error: Exception) -> str | None:
    """Look for the masks that an error came from.

    It reads all masks and images of the loaders, so it is for the time after an error that speaks of them.

    Returns:
        A sentence with files, config key and remedy; None if nothing is found.
    """
    if not _OF_MASKS.search(str(error)):
        return None
    from mim_plugin.datasets.checks.report import Report
    from mim_plugin.datasets.checks.segmentation import check_pairs

    for path, dataset in walk_dicts(cfg):
        steps = [type_name(step) for step in dataset.get('pipeline') or () if isinstance(step, dict)]
        if not path.startswith(_LOADERS) or 'LoadAnnotations' not in steps:
            continue
        pairs, reduce_zero_label = _pairs(cfg, dataset)
        classes = _ALL_LABELS if 'IgnoreOtherLabels' in steps else _num_classes(cfg)
        if not pairs or classes is None:
            continue
        report = Report()
        check_pairs(report, pairs, classes, reduce_zero_label=reduce_zero_label, progress=True)
        if report.problems:
            return f'{path}: {report.problems[0]}'
    return None


def _pairs(cfg: Config, dataset: dict) -> tuple[list[tuple[Path, Path]], bool]:
    """Images with masks that a data set of mmseg reads, and whether their labels are reduced."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        built = DATASETS.build({**dataset, 'lazy_init': True})
    pairs = [
        (Path(entry['img_path']), Path(entry['seg_map_path']))
        for entry in built.load_data_list()
        if 'seg_map_path' in entry
    ]
    return pairs, bool(getattr(built, 'reduce_zero_label', False))


def _num_classes(cfg: Config) -> int | None:
    heads = (cfg.get('model') or {}).get('decode_head')
    head = heads[-1] if isinstance(heads, list) else heads
    return head.get('num_classes') if isinstance(head, dict) else None
