"""Four images of a COCO data set with few objects of few classes: what a detector must be able to learn by heart."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mim_plugin.datasets.checks import Report, check_coco
from mim_plugin.datasets.checks.coco import read_coco
from mim_plugin.errors import DataError

__all__ = ['FourImages', 'choose_four_images', 'refuse_problems']

COUNT = 4
CLASSES = 3  # as near to this number as the images allow
OBJECTS = 5  # of an image at most
AREA = 0.02  # of the image that each object covers at least
CANDIDATES = 40  # of which all fours are compared


@dataclass(frozen=True)
class FourImages:
    """The choice.

    Attributes:
        root: The COCO data set.
        annotations: COCO JSON of the four images, whose paths start in ``train2017``.
        names: Names of their classes.
    """

    root: Path
    annotations: Path
    names: tuple[str, ...]


def choose_four_images(root: Path, folder: Path) -> FourImages:
    """Chooses four training images and writes their annotations.

    Args:
        root: Data set with ``annotations/instances_{train2017,val2017}.json``, ``train2017`` and ``val2017``.
        folder: Gets ``annotations.json``.

    Returns:
        The choice, the same in every call.

    Raises:
        DataError: A file is missing or wrong, or too few images have few large objects.
    """
    source = root / 'annotations' / 'instances_train2017.json'
    for split in ('train2017', 'val2017'):
        file = source.with_name(f'instances_{split}.json')
        refuse_problems(check_coco(str(file), str(root / split)), file)
    content = read_coco(str(source))
    chosen = _choose(content)
    if chosen is None:
        raise DataError(
            f'{source} has fewer than {COUNT} images with 1 to {OBJECTS} objects that each cover {AREA:.0%} of the '
            'image: detection needs four to learn by heart.'
        )
    return _write(content, chosen, root, folder / 'annotations.json')


def refuse_problems(report: Report, place: Path) -> None:
    """Raises a DataError with the first thing that a check of the annotations in a place found, if there is any."""
    if report.problems:
        raise DataError(f'{place}: {report.problems[0]}')


def _choose(content: dict) -> Sequence[dict] | None:
    objects = defaultdict(list)
    for entry in content['annotations']:
        objects[entry['image_id']].append(entry)

    def simple(image: dict) -> bool:
        found, area = objects[image['id']], image['width'] * image['height']
        return 1 <= len(found) <= OBJECTS and all(
            not entry.get('iscrowd') and entry['area'] >= AREA * area for entry in found
        )

    def cost(images: Sequence[dict]) -> tuple[int, int]:
        found = [entry for image in images for entry in objects[image['id']]]
        return abs(len({entry['category_id'] for entry in found}) - CLASSES), len(found)

    candidates = [image for image in sorted(content['images'], key=lambda image: image['id']) if simple(image)]
    return min(combinations(candidates[:CANDIDATES], COUNT), key=cost, default=None)


def _write(content: dict, chosen: Sequence[dict], root: Path, target: Path) -> FourImages:
    ids = {image['id'] for image in chosen}
    annotations = [entry for entry in content['annotations'] if entry['image_id'] in ids]
    used = {entry['category_id'] for entry in annotations}
    categories = [category for category in content['categories'] if category['id'] in used]
    target.parent.mkdir(parents=True, exist_ok=True)
    part = {'images': list(chosen), 'annotations': annotations, 'categories': categories}
    target.write_text(json.dumps(part), encoding='utf-8')
    return FourImages(root, target.resolve(), tuple(category['name'] for category in categories))
