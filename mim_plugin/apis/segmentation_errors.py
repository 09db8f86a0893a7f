"""One clear message for masks that stop a segmenter."""

from __future__ import annotations

import re
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mim_plugin.apis.config_tree import type_name, walk_dicts, walk_loaders

__all__ = ['explain_masks']

# torch's words for a label that is no class (CPU, GPU), for maps of different sizes, and Pillow's for a damaged mask.
_OF_MASKS = re.compile(
    r'Target \d+ is out of bounds|device-side assert|stack expects each tensor to be equal size'
    r'|shape of the mask .* does not match|cannot identify image file|image file is truncated'
)
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

    head, classes = _least_classes(cfg)
    for path, dataset in walk_loaders(cfg):
        steps = {type_name(step): step for step in dataset.get('pipeline') or () if isinstance(step, dict)}
        if 'LoadAnnotations' not in steps or classes is None:
            continue
        kept = steps.get('IgnoreOtherLabels')
        if kept and kept['num_classes'] > classes:
            return (
                f'{path}.pipeline: IgnoreOtherLabels keeps the labels below {kept["num_classes"]}, but '
                f'{head}.num_classes is {classes}; give both the number of classes.'
            )
        pairs, reduce_zero_label = _pairs(cfg, dataset)
        if not pairs:
            continue
        report = Report()
        known = _ALL_LABELS if kept else classes
        check_pairs(report, pairs, known, reduce_zero_label=reduce_zero_label, progress=True)
        if report.problems:
            return f'{path} (for {head}.num_classes={classes}): {report.problems[0]}'
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


def _least_classes(cfg: Config) -> tuple[str, int | None]:
    """The head with the fewest classes, which is the first to meet a label that it does not have."""
    heads = [
        (entry['num_classes'], path)
        for path, entry in walk_dicts(cfg.get('model'), 'model')
        if path.startswith(('model.decode_head', 'model.auxiliary_head')) and isinstance(entry.get('num_classes'), int)
    ]
    classes, path = min(heads, default=(None, ''))
    return path, classes
