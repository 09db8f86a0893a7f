"""A picture for each task: images, truth, and what the network says from either start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from mim_plugin.apis.downstream_smoke.options import STARTS, TASKS
from mim_plugin.apis.downstream_smoke.predictions import read_objects
from mim_plugin.apis.long_commands.segmentation import segmentation_picture
from mim_plugin.visualization.detection import Objects, draw_detections
from mim_plugin.visualization.style import draw_picture, new_figure

if TYPE_CHECKING:
    from mim_plugin.apis.downstream_smoke.job import Smoke

__all__ = ['write']

COLUMNS = 4
SIDE = 160  # pixels of a photo


def write(smoke: Smoke) -> list[Path]:
    """Writes ``TASK.png`` for each task with a finished training of the first seed.

    Args:
        smoke: What all parts share.

    Returns:
        The files.
    """
    draw = {'seg': _scenes, 'imagenet_like': _photos, 'coco_mini': _objects}
    written = []
    for name in smoke.options.tasks:
        starts = [start for start in STARTS if '0' in smoke.runs(name, start)]
        if starts:
            written.append(smoke.folder / f'{name}.png')
            draw[TASKS[name].data](smoke, name, starts).savefig(written[-1])
    return written


def _scenes(smoke: Smoke, name: str, starts: Sequence[str]) -> Figure:
    folders = {STARTS[start]: smoke.run_folder(name, start, 0) / 'predictions' for start in starts}
    return segmentation_picture(smoke.data.scenes, folders)


def _photos(smoke: Smoke, name: str, starts: Sequence[str]) -> Figure:
    names = smoke.data.classes.names
    predicted = {STARTS[start]: smoke.runs(name, start)['0']['predicted'] for start in starts}
    paths = list(next(iter(predicted.values())))
    figure, axes = new_figure(-(-len(paths) // COLUMNS), COLUMNS, panel=2.4, title_space=0.4, aspect=1.05)
    for panel in axes.flat:
        panel.set_axis_off()
        panel.set_anchor('S')  # what height is left over belongs to the captions
    for panel, path in zip(axes.flat, paths, strict=False):
        truth = Path(path).parent.name
        guesses = {start: names[labels[path]] for start, labels in predicted.items()}
        lines = [f'{start}: ' + ('right' if guess == truth else guess) for start, guess in guesses.items()]
        photo = ImageOps.fit(Image.open(path).convert('RGB'), (SIDE, SIDE))
        draw_picture(panel, np.asarray(photo), [truth, *lines])
    return figure


def _objects(smoke: Smoke, name: str, starts: Sequence[str]) -> Figure:
    four = smoke.data.four
    content = json.loads(four.annotations.read_text(encoding='utf-8'))
    infos = content['images']
    folder = four.root / 'train2017'
    images = [np.asarray(Image.open(folder / info['file_name']).convert('RGB')) for info in infos]
    columns = {'ground truth': _true_objects(four.annotations, infos)}
    for start in starts:
        run = smoke.run_folder(name, start, 0)
        columns[STARTS[start]] = [read_objects(run, info['id']) for info in infos]
    return draw_detections(images, columns, four.names)


def _true_objects(annotations: Path, infos: Sequence[dict]) -> list[Objects]:
    import contextlib
    import io

    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it takes
        coco = COCO(str(annotations))
    labels = {category: label for label, category in enumerate(coco.getCatIds())}
    found = []
    for info in infos:
        entries = coco.loadAnns(coco.getAnnIds(info['id']))
        boxes = np.array([entry['bbox'] for entry in entries], dtype=np.float64)
        boxes[:, 2:] += boxes[:, :2]
        masks = np.stack([coco.annToMask(entry).astype(bool) for entry in entries])
        found.append(Objects(boxes, np.array([labels[entry['category_id']] for entry in entries]), masks))
    return found
