"""What trained networks say about single images, kept for the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner

from mim_plugin.visualization.detection import Objects

__all__ = ['predicted_classes', 'read_objects', 'save_objects']

SHOWN = 12  # photos in the picture of a classification
OBJECTS = 'objects.npz'
LEAST_SCORE = 0.3  # of a detection that is drawn


@torch.no_grad()
def predicted_classes(runner: Runner) -> dict[str, dict[str, int]]:
    """Labels that a classifier gives to some validation images, evenly spread: path -> label."""
    dataset = runner.val_dataloader.dataset
    chosen = np.linspace(0, len(dataset) - 1, min(SHOWN, len(dataset))).round().astype(int).tolist()
    found = runner.model.eval().val_step(pseudo_collate([dataset[i] for i in chosen]))
    return {'predicted': {sample.img_path: int(sample.pred_label) for sample in found}}


@torch.no_grad()
def save_objects(runner: Runner) -> dict[str, str]:
    """Writes what a detector finds in its validation images, best first, into its work folder."""
    model, arrays = runner.model.eval(), {}
    for sample in runner.val_dataloader.dataset:
        (found,) = model.val_step(pseudo_collate([sample]))
        kept = found.pred_instances[found.pred_instances.scores > LEAST_SCORE].cpu()
        for key in ('bboxes', 'labels', 'masks', 'scores'):
            arrays[f'{found.img_id}/{key}'] = np.asarray(kept[key])
    np.savez_compressed(Path(runner.work_dir) / OBJECTS, **arrays)
    return {'objects': OBJECTS}


def read_objects(folder: Path, image: int) -> Objects:
    """What :func:`save_objects` has found in the image of a number.

    Args:
        folder: Work folder of the training.
        image: Number of the image in its annotations.
    """
    with np.load(folder / OBJECTS) as arrays:
        boxes, labels, masks, scores = (arrays[f'{image}/{key}'] for key in ('bboxes', 'labels', 'masks', 'scores'))
    return Objects(boxes, labels, masks, scores)
