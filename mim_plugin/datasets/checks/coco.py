"""Checks of images with objects, in COCO's JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from mim_plugin.datasets.checks.reading import map_files, read_image
from mim_plugin.datasets.checks.report import Report, counted
from mim_plugin.datasets.files import find_images
from mim_plugin.errors import DataError

__all__ = ['check_coco', 'read_coco']

_NEEDED = {'images': ('id', 'file_name'), 'annotations': (), 'categories': ('id', 'name')}
_LISTS = tuple(_NEEDED)
_READ_BY_TOOLBOX = ('area', 'iscrowd')  # mmdet's data set and COCO's metric stop at an object without them
_MARGIN = 1.0  # pixels that a box may reach beyond its image: rounding, not an error
_SHARE = 1.01  # a box that ends here and is said to be in pixels: rounding included
_FLAT_IN_COCO = 2  # boxes of instances_train2017.json have no height
_MANY = 12


def check_coco(
    annotations: str,
    images: str,
    official: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Check a COCO file against the images that it names.

    Args:
        annotations: JSON file with ``images``, ``annotations`` and ``categories``.
        images: Folder of the images.
        official: It is COCO's own file: its two boxes without a height are a note, and the
            names of its classes are the toolbox's defaults.
        workers: Processes; None: one for each core.
        progress: Show a bar.

    Returns:
        What was found.

    Raises:
        DataError: The file is missing or no COCO file, or the folder is missing.
    """
    data = read_coco(annotations)
    report = Report()
    by_id = {image['id']: image for image in data['images']}
    _report_ids(report, data)
    _report_images(report, data['images'], images, workers, progress)
    _report_objects(report, data, by_id, official)
    with_objects = {entry.get('image_id') for entry in data['annotations']}
    report.add(
        'images without an object',
        [image['file_name'] for image in by_id.values() if image['id'] not in with_objects],
        'mmdet leaves them out of training where the config has filter_cfg=dict(filter_empty_gt=True)',
        is_note=True,
    )
    _report_categories(report, data, official)
    return report


def read_coco(path: str) -> dict[str, list[dict[str, Any]]]:
    """Read a COCO file.

    Raises:
        DataError: It is missing, is no JSON, or lacks one of COCO's lists or a key of their entries.
    """
    try:
        data = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise DataError(f'There is no annotation file {path}; check the path.') from None
    except (OSError, ValueError) as error:
        raise DataError(f'Annotation file {path} cannot be read ({error}); download or write it again.') from error
    missing = [key for key in _LISTS if not isinstance(data, dict) or not isinstance(data.get(key), list)]
    if missing:
        raise DataError(
            f'{path} has no list {", ".join(missing)}, so it is no COCO file of objects; take instances_*.json.'
        )
    for key, wanted in _NEEDED.items():
        for place, entry in enumerate(data[key]):
            if not isinstance(entry, dict):
                raise DataError(f'Entry {place} of {key} in {path} is {entry!r}, not a dict; write the file again.')
            if lacking := [name for name in wanted if name not in entry]:
                raise DataError(f'Entry {place} of {key} in {path} has no {", ".join(lacking)}; add it.')
    for key in ('images', 'categories'):
        if not data[key]:
            raise DataError(f'{path} lists no {key}; write those of the data set into it.')
    return data


def _report_ids(report: Report, data: dict) -> None:
    for key in _LISTS:
        times = Counter(entry.get('id') for entry in data[key])
        twice = [f'id {number}' for number, count in times.items() if count > 1]
        report.add(f'ids that stand for several {key}', twice, 'number them anew; the toolbox keeps the last of each')


def _report_images(report: Report, entries: list[dict], folder: str, workers: int | None, progress: bool) -> None:
    present = set(find_images(folder))
    listed = {entry['file_name']: entry for entry in entries}
    missing = [name for name in listed if name not in present and not Path(folder, name).is_file()]
    report.add(f'images missing in {folder}', missing, 'download or copy them')
    report.add(f'images in {folder} that the file does not list', sorted(present - listed.keys()), is_note=True)
    names = sorted(listed.keys() - set(missing))
    title = f'Reading {len(names)} images' if progress else ''
    read = map_files(partial(_read_in, folder), names, workers, title)
    damaged, sizes = [], []
    for name, file in zip(names, read, strict=True):
        said = (listed[name].get('width'), listed[name].get('height'))
        if file.error:
            damaged.append(f'{folder}/{name} ({file.error})')
        elif file.size != said:
            sizes.append(f'{name} (file {file.size[0]} x {file.size[1]}, annotations {said[0]} x {said[1]})')
    report.add('unreadable images', damaged, 'copy or download them again')
    remedy = 'write the true width and height, and the boxes in pixels of that size'
    report.add('images of another size than the annotations say', sizes, remedy)


def _read_in(folder: str, name: str):
    return read_image(str(Path(folder, name)))


def _report_objects(report: Report, data: dict, by_id: dict, official: bool) -> None:
    categories = {entry['id'] for entry in data['categories']}
    homeless, unknown, incomplete, known = [], [], [], []
    for entry in data['annotations']:
        image, name = by_id.get(entry.get('image_id')), f'annotation {entry.get("id")}'
        if image is None:
            homeless.append(f'{name} (image {entry.get("image_id")})')
            continue
        name += f' of {image["file_name"]}'
        known.append((name, entry, image))
        if entry.get('category_id') not in categories:
            unknown.append(f'{name} (category {entry.get("category_id")})')
        if lacking := [key for key in _READ_BY_TOOLBOX if key not in entry]:
            incomplete.append(f'{name} ({", ".join(lacking)})')
    report.add('objects of images that the file does not list', homeless, 'correct or remove them')
    report.add('objects whose category is not in categories', unknown, 'add the category, or correct category_id')
    remedy = 'write the pixels of the object (or width x height of its box), and 0 for iscrowd'
    report.add('objects without area or iscrowd, which mmdet and the metric of COCO read', incomplete, remedy)
    _report_boxes(report, known, official)
    _report_outlines(report, known)
    if not data['annotations']:
        report.add('annotation lists without any object', ['annotations'], 'there is nothing to learn from this file')


def _report_boxes(report: Report, objects: list[tuple[str, dict, dict]], official: bool) -> None:
    malformed, flat, shares, outside = [], [], [], []
    for name, entry, image in objects:
        box = entry.get('bbox')
        if not _is_box(box):
            malformed.append(f'{name} ({box})')
        elif min(box[2:]) <= 0:
            flat.append(f'{name} ({box})')
        elif max(box[0] + box[2], box[1] + box[3]) <= _SHARE:
            shares.append(f'{name} ({box})')
        elif _sticks_out(box, image):
            outside.append(f'{name} ({box} in {image["width"]} x {image["height"]})')
    remedy = 'correct or remove them'
    report.add('boxes that are not four finite numbers [x, y, width, height]', malformed, remedy)
    if official and len(flat) <= _FLAT_IN_COCO:
        report.add("boxes without area (as in COCO's own file)", flat, 'mmdet trains without them', is_note=True)
    else:
        report.add('boxes without area', flat, f'mmdet trains without them but counts them as missed; {remedy}')
    remedy = 'they seem to be shares of the image; boxes are [x, y, width, height] in pixels'
    report.add('boxes inside the first pixel', shares, remedy)
    remedy = 'boxes are [x, y, width, height] in pixels, not two corners'
    report.add('boxes that reach beyond their image', outside, remedy)


def _report_outlines(report: Report, objects: list[tuple[str, dict, dict]]) -> None:
    """Masks: polygons, or run lengths with the size of the image."""
    no_mask, sizes = [], []
    for name, entry, image in objects:
        outline = entry.get('segmentation')
        if not outline:
            no_mask.append(name)
        elif isinstance(outline, dict) and outline.get('size') != [image.get('height'), image.get('width')]:
            said = f'{image.get("height")} x {image.get("width")}'
            sizes.append(f'{name} (mask {outline.get("size")}, image {said}, rows first)')
    report.add('objects without a mask', no_mask, 'detectors with a mask head need one', is_note=True)
    report.add('masks of another size than their image', sizes, 'encode them again at the size of the image')


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, (int, float)) and math.isfinite(value) for value in box)
    )


def _sticks_out(box: list[float], image: dict) -> bool:
    x, y, width, height = box
    if 'width' not in image or 'height' not in image:
        return False  # told with the sizes
    return min(x, y) < -_MARGIN or x + width > image['width'] + _MARGIN or y + height > image['height'] + _MARGIN


def _report_categories(report: Report, data: dict, official: bool) -> None:
    names = [entry['name'] for entry in data['categories']]
    used = Counter(entry.get('category_id') for entry in data['annotations'])
    unused = [entry['name'] for entry in data['categories'] if entry['id'] not in used]
    report.add('categories without an object', unused, is_note=True)
    images, objects = counted(len(data['images']), 'image'), counted(len(data['annotations']), 'object')
    report.counts.append(f'{images}, {objects}, {counted(len(names), "category", "categories")}.')
    if not official and len(names) <= _MANY:
        report.counts.append(
            f'Config: metainfo=dict(classes={tuple(names)!r}) in every dataset, num_classes={len(names)} in the heads.'
        )
