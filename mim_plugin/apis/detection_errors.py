"""One clear message for what stops a detector: operators that do not load, annotations without content."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_plugin.apis.config_tree import type_name, walk_dicts, walk_loaders
from mim_plugin.apis.doctor import operators_command
from mim_plugin.errors import DataError

__all__ = ['TrainedObjects', 'check_measured_objects', 'explain_annotations', 'explain_operators']

_OPERATORS = re.compile(r'mmcv[./\\](_ext|ops)\b')


def explain_operators(error: ImportError) -> str | None:
    """Say how to install the operators of mmcv; None if something else cannot be imported."""
    if not _OPERATORS.search(str(error)):
        return None
    reason = str(error).partition('\n')[0]
    return (
        f'Detection needs the compiled operators of mmcv, which cannot be imported here ({reason}); install them with '
        f'`{operators_command()}`; tools/doctor.py examines the whole environment.'
    )


def explain_annotations(cfg: Config) -> str | None:
    """Look for what is wrong with the annotations in the layout of COCO that the loaders of a config read.

    It reads whole files, so it is for the time after an error.

    Returns:
        A sentence with file, config key and remedy; None if nothing is found.
    """
    for path, dataset in walk_loaders(cfg):
        if type_name(dataset).startswith('Coco') and dataset.get('ann_file'):
            file = Path(dataset.get('data_root') or '') / dataset['ann_file']
            fault = None if ':' in file.parts[0] else _fault(file, dataset)  # not of an address of a store
            if fault:
                return f'{file} ({path}.ann_file) {fault}.'
    return None


def check_measured_objects(cfg: Config, key: str) -> None:
    """Refuse to measure a detector on annotations without objects, for which every figure would be -1.

    Args:
        cfg: The config.
        key: 'val_evaluator' or 'test_evaluator'.

    Raises:
        DataError: A metric of COCO reads such a file.
    """
    for path, metric in walk_dicts(cfg.get(key), key):
        if type_name(metric) != 'CocoMetric' or metric.get('format_only') or not metric.get('ann_file'):
            continue
        file = Path(metric['ann_file'])
        try:
            empty = file.is_file() and json.loads(file.read_bytes())['annotations'] == []
        except (LookupError, TypeError, ValueError):
            return  # reading it fails for the metric, too, and is explained then
        if empty:
            raise DataError(
                f'{file} ({path}.ann_file) has no objects to measure by; name a file with annotations, or set '
                f'{path}.format_only=True and outfile_prefix to write predictions alone.'
            )


class TrainedObjects(Hook):
    """Refuses to train a detector on images none of which has an object: its losses would look well."""

    def before_train(self, runner: Runner) -> None:
        """Look for the first object.

        Raises:
            DataError: There is none.
        """
        dataset = runner.train_dataloader.dataset
        if not hasattr(dataset, 'get_data_info') or not len(dataset):
            return
        for i in range(len(dataset)):
            if dataset.get_data_info(i).get('instances', True):
                return
        metainfo = getattr(dataset, 'metainfo', {})
        raise DataError(
            f'{getattr(dataset, "ann_file", "The training data")} (train_dataloader.dataset.ann_file) has no object of '
            f'the classes {_shorten(metainfo.get("classes", ()))}, so there is nothing to learn; annotate some, or set '
            'metainfo.classes to the names of its categories.'
        )


def _fault(file: Path, dataset: dict) -> str | None:
    if not file.is_file():
        return 'does not exist; set data_root to the folder of the data set'
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        return 'is empty; write it again' if not file.stat().st_size else f'is no JSON file ({error}); write it again'
    missing = [key for key in ('images', 'annotations', 'categories') if key not in content]
    if missing:
        return f'has no {", ".join(missing)}; annotations must have the layout of COCO'
    if not content['images']:
        return 'lists no images; write it again'
    if fault := _faulty_object(content, is_measured=bool(dataset.get('test_mode'))):
        return f'{fault}; tools/dataset_converters/check_dataset.py coco names all and says what to write'
    named = {category['name']: category['id'] for category in content['categories']}
    classes = (dataset.get('metainfo') or {}).get('classes') or _coco_classes()
    known = {named[name] for name in classes if name in named}
    if not known:
        return f'has none of the classes {_shorten(classes)}; set metainfo.classes to some of {_shorten(named)}'
    return None if dataset.get('test_mode') else _nothing_left(content, known, dataset.get('filter_cfg') or {})


def _faulty_object(content: dict, is_measured: bool) -> str | None:
    """The first object that mmdet cannot read."""
    sizes = {image['id']: [image.get('height'), image.get('width')] for image in content['images']}
    # mmdet's data set reads the area, COCO's metric both.
    needed = ('area', 'iscrowd') if is_measured else ('area',)
    for note in content['annotations']:
        if lacking := [key for key in needed if key not in note]:
            return f'has objects without {" and ".join(lacking)}, the first with id {note.get("id")}'
        mask, size = note.get('segmentation'), sizes.get(note.get('image_id'))
        if isinstance(mask, dict) and size and mask.get('size') != size:
            return f'has masks of another size than their image, the first with id {note.get("id")}'
    return None


def _nothing_left(content: dict, known: set[int], rules: dict) -> str | None:
    """Why filter_cfg leaves no image to train on, if it does."""
    least = rules.get('min_size', 0)
    large = {image['id'] for image in content['images'] if min(image['width'], image['height']) >= least}
    if not large:
        return f'has no image whose shorter side is at least filter_cfg.min_size={least}; make that smaller'
    annotated = {note['image_id'] for note in content['annotations'] if note['category_id'] in known}
    if not rules.get('filter_empty_gt') or annotated & large:
        return None
    return (
        'has no objects of the classes, and filter_cfg.filter_empty_gt leaves images without objects out; annotate '
        'some, or set filter_empty_gt=False'
    )


def _coco_classes() -> tuple[str, ...]:
    from mmdet.datasets import CocoDataset

    return CocoDataset.METAINFO['classes']


def _shorten(names: Iterable[str]) -> str:
    names = list(names)
    return ', '.join(names[:5]) + (f' and {len(names) - 5} more' if len(names) > 5 else '')
