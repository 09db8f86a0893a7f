"""The images of the tasks: what must be there, and configs fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mim_plugin.apis.config_tree import walk_dicts
from mim_plugin.apis.downstream_smoke.four_images import FourImages, choose_four_images, refuse_problems
from mim_plugin.apis.downstream_smoke.options import TASKS, Task
from mim_plugin.apis.long_commands.folders import (
    IGNORE_INDEX,
    SPLITS,
    ClassFolders,
    SceneFolders,
    detect_layout,
    labelled_folder,
)
from mim_plugin.apis.long_commands.segmentation import fit_segmentation_config
from mim_plugin.datasets.checks import check_segmentation
from mim_plugin.errors import DataError

__all__ = ['SmokeData', 'fit_config', 'read_data', 'use_validation_images']


@dataclass(frozen=True)
class SmokeData:
    """Where the images are; a part that no task needs is None.

    Attributes:
        scenes: Images with masks.
        classes: Images in class folders.
        four: What detection overfits.
    """

    scenes: SceneFolders | None = None
    classes: ClassFolders | None = None
    four: FourImages | None = None


def read_data(root: Path, tasks: tuple[str, ...], work_dir: Path) -> SmokeData:
    """Checks what the tasks need, once over all files.

    Args:
        root: Folder with one folder for each kind of data.
        tasks: Names of the tasks.
        work_dir: Gets the annotations of the four images.

    Raises:
        DataError: Something is missing or cannot be used; names the file.
    """
    if not root.is_dir():
        raise DataError(f'--data {root} is no folder: give the folder that holds seg, imagenet_like and coco_mini.')
    needed = {TASKS[name].data for name in tasks}
    for name in sorted(needed):
        if not (root / name).is_dir():
            raise DataError(f'--data {root} has no folder {name}: add it, or leave its --tasks out.')
    return SmokeData(
        _read_scenes(root / 'seg') if 'seg' in needed else None,
        labelled_folder(root / 'imagenet_like') if 'imagenet_like' in needed else None,
        choose_four_images(root / 'coco_mini', work_dir / 'coco_four') if 'coco_mini' in needed else None,
    )


def _read_scenes(root: Path) -> SceneFolders:
    scenes = detect_layout(root).scenes
    if scenes is None:
        raise DataError(f'{root} has no images/{SPLITS[0]}: give it the folders of ADE20K, images and annotations.')
    classes = len(scenes.names)
    for split in SPLITS:
        folders = [str(root / kind / split) for kind in ('images', 'annotations')]
        refuse_problems(check_segmentation(*folders, classes, ignore=(classes, IGNORE_INDEX)), Path(folders[1]))
    return scenes


def fit_config(cfg: Config, task: Task, data: SmokeData, folder: Path) -> Config:
    """Points the config of a task at the images: paths, classes, where predictions go.

    Args:
        cfg: The config; it is changed.
        task: The task.
        data: The images.
        folder: Work folder of the training.

    Returns:
        The same config.
    """
    if task.data == 'seg':
        return fit_segmentation_config(cfg, data.scenes, folder)
    if task.data == 'imagenet_like':
        _set_everywhere(cfg, {'data_root': str(data.classes.train.parent)})
        _set_everywhere(cfg.model, {'num_classes': len(data.classes.names)})
        return cfg
    _set_everywhere(cfg.model, {'num_classes': len(data.four.names)})
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        _point_to_coco(loader, data.four, data.four.annotations, 'train2017/')
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.ann_file = str(data.four.annotations)
    return cfg


def use_validation_images(cfg: Config, data: SmokeData) -> Config:
    """Lets the test of a detection config read the validation images in place of the four."""
    annotations = data.four.root / 'annotations' / 'instances_val2017.json'
    _point_to_coco(cfg.test_dataloader, data.four, annotations, 'val2017/')
    cfg.test_evaluator.ann_file = str(annotations)
    return cfg


def _set_everywhere(node: Config | dict, values: dict) -> None:
    for _, entry in walk_dicts(node):
        entry.update({key: value for key, value in values.items() if key in entry})


def _point_to_coco(loader: dict, four: FourImages, annotations: Path, folder: str) -> None:
    for _, entry in walk_dicts(loader):
        if 'ann_file' in entry:
            entry.update(
                data_root=str(four.root),
                ann_file=str(annotations),
                data_prefix=dict(img=folder),
                metainfo=dict(classes=four.names),
            )
