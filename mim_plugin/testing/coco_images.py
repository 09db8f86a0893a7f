"""A generated data set in the layout of COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import ImageDraw

from mim_plugin.testing.images import generate_image

__all__ = ['write_coco_folder']

SIZES = ((72, 80), (80, 72))


def write_coco_folder(
    images: str | Path, annotations: str | Path, classes: Sequence[str], objects: Sequence[int] = (1, 2, 2, 1)
) -> None:
    """Write ``images/<i>.jpg``, landscape and portrait in turn, and their objects as ``annotations``, a JSON file.

    An object is a bright rectangle or triangle with its polygon; those of one image differ in class.

    Args:
        images: Folder of the images.
        annotations: File of the annotations.
        classes: Names of the categories.
        objects: How many objects each image has, at most 2.
    """
    images, annotations, rng = Path(images), Path(annotations), np.random.default_rng(0)
    images.mkdir(parents=True, exist_ok=True)
    annotations.parent.mkdir(parents=True, exist_ok=True)
    content = {
        'images': [],
        'annotations': [],
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(classes)],
    }
    for index, number in enumerate(objects):
        height, width = size = SIZES[index % len(SIZES)]
        image = generate_image(rng, size)
        content['images'].append({'id': index, 'file_name': f'{index}.jpg', 'height': height, 'width': width})
        for kind in range(number):
            polygon = _polygon(rng, size, kind)
            ImageDraw.Draw(image).polygon(polygon, fill=(255, 255 * kind, 0))
            note = {'id': len(content['annotations']) + 1, 'image_id': index, 'category_id': 1 + kind % len(classes)}
            content['annotations'].append(note | _outline(polygon))
        image.save(images / f'{index}.jpg')
    annotations.write_text(json.dumps(content), encoding='utf-8')


def _polygon(rng: np.random.Generator, size: tuple[int, int], kind: int) -> list[tuple[int, int]]:
    """Corners (x, y) of a rectangle (0) in the left half, or of a triangle (1) in the right half."""
    height, width = size
    left, top = int(rng.integers(2, 8)) + kind * width // 2, int(rng.integers(2, height // 3))
    right, bottom = left + int(rng.integers(20, width // 2 - 8)), top + int(rng.integers(24, height // 2))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return corners[kind:]


def _outline(polygon: list[tuple[int, int]]) -> dict:
    x, y = np.array(polygon).T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    box = [int(x.min()), int(y.min()), int(np.ptp(x)), int(np.ptp(y))]
    flat = [int(value) for corner in polygon for value in corner]
    return {'bbox': box, 'area': float(area), 'segmentation': [flat], 'iscrowd': 0}
