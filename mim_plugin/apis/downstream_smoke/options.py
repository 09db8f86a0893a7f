"""The tasks, what a user can choose, and what must stay the same when a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mim_plugin.apis.long_commands.options import SHIPPED, check_device, check_names, check_start
from mim_plugin.errors import ConfigError

__all__ = ['STARTS', 'TASKS', 'SmokeOptions', 'Task']

STARTS = {'pretrained': 'shipped checkpoint', 'random': 'random weights'}


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        title: Name for people.
        config: File in ``configs/smoke``.
        data: Folder inside ``--data``.
        figures: Metric of the toolbox -> name in the table. The first one is drawn.
        percent: Factor that makes percent of the metrics.
        seconds: Expected duration of a training on two CPU cores.
        goal: Metrics whose passing ends a training; empty where its length is fixed.
    """

    title: str
    config: str
    data: str
    figures: Mapping[str, str]
    percent: float = 1.0
    seconds: float = 60.0
    goal: Mapping[str, float] = field(default_factory=dict)


_SEGMENTATION = {'mIoU': 'mIoU', 'aAcc': 'pixels right'}
TASKS = {
    'upernet': Task('UPerNet', 'upernet_vit-mini-p16_seg.py', 'seg', _SEGMENTATION, seconds=100.0),
    'setr-pup': Task('SETR-PUP', 'setr-pup_vit-mini-p16_seg.py', 'seg', _SEGMENTATION, seconds=100.0),
    'linear': Task('linear head, backbone frozen', 'linear_vit-mini-p16_seg.py', 'seg', _SEGMENTATION, seconds=25.0),
    'classification': Task(
        'classification', 'classification_vit-mini-p16_folders.py', 'imagenet_like', {'accuracy/top1': 'accuracy'}
    ),
    'detection': Task(
        'Cascade Mask R-CNN',
        'cascade-mask-rcnn_vit-mini-p16_coco-mini.py',
        'coco_mini',
        {'coco/bbox_mAP': 'box AP', 'coco/segm_mAP': 'mask AP'},
        percent=100.0,
        seconds=400.0,
        goal={'coco/bbox_mAP': 0.3, 'coco/segm_mAP': 0.3},
    ),
}


@dataclass(frozen=True)
class SmokeOptions:
    """Options of one call.

    Attributes:
        data: Folder with ``seg``, ``imagenet_like`` and ``coco_mini``, or those of them that the tasks need.
        work_dir: Everything that is written is inside; finished parts found there are not repeated.
        tasks: Names from :data:`TASKS`.
        seeds: Number of trainings of each task from each start.
        iterations: Length of every training, or None for that of its config.
        device: ``cpu``, ``cuda``, or None for what the machine has.
        checkpoint: What the pretrained backbones start from.
    """

    data: Path
    work_dir: Path = Path('work_dirs/downstream_smoke')
    tasks: tuple[str, ...] = tuple(TASKS)
    seeds: int = 3
    iterations: int | None = None
    device: str | None = None
    checkpoint: Path = SHIPPED

    def __post_init__(self) -> None:
        """Check what can be checked without touching data.

        Raises:
            ConfigError: If a value cannot work.
            CheckpointError: The checkpoint is missing.
        """
        check_names('tasks', self.tasks, TASKS)
        if self.seeds < 1:
            raise ConfigError(f'--seeds {self.seeds} trains nothing: give 1 or more.')
        if self.iterations is not None and self.iterations < 2:
            raise ConfigError(f'--iterations {self.iterations} is too short for a warm-up: give 2 or more.')
        check_start(self.checkpoint)
        check_device(self.device)
