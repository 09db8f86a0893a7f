"""A small config of each task, as it is shipped but for its size."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mim_plugin.apis.config_tree import type_name, walk_dicts
from mim_plugin.apis.run import prepare_config
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
SEGMENTATION = 'configs/segmentation/ibot_vit-small-p16_fcn_4xb4-20k_voc12-512x512.py'
DETECTION = 'configs/detection/ibot_vit-small-p16_mask-rcnn_8xb4-1x_coco.py'
CLASSIFICATION = 'configs/classification/beit_vit-base-p16_8xb128-coslr-100e_in1k.py'
TASKS = {'segmentation': SEGMENTATION, 'detection': DETECTION, 'classification': CLASSIFICATION}
TOOLBOX = {'segmentation': 'mmseg', 'detection': 'mmdet', 'classification': 'mmpretrain'}
METRICS = {'segmentation': 'mIoU', 'detection': 'coco/bbox_mAP', 'classification': 'accuracy/top1'}


def small(task: str, folder: Path) -> Config:
    """The shrunken config, with data in ``folder``."""
    pytest.importorskip(TOOLBOX[task])
    cfg = shrink(Config.fromfile(ROOT / TASKS[task]), folder)
    cfg.experiment_name = folder.name  # two runs within one second would share their logs
    return cfg


def run_of(cfg: Config, folder: Path, **options) -> Config:
    """What tools/train.py makes of a config."""
    return prepare_config(cfg, work_dir=str(folder / 'work'), **options)


def without_chance(cfg: Config) -> Config:
    """No dropout, no sampling: what a batch gives depends on its images alone, but for batch norm."""
    for _, entry in walk_dicts(cfg.model):
        for key in entry.keys() & {'dropout_ratio', 'drop_path_rate'}:
            entry[key] = 0.0
        if type_name(entry) == 'RandomSampler':
            entry['num'] = 100_000
    cfg.model.get('train_cfg', {}).pop('augments', None)
    return cfg


def build(cfg: Config) -> torch.nn.Module:
    torch.manual_seed(0)
    entry = copy.deepcopy(cfg.model)
    if 'data_preprocessor' in cfg:  # as the Runner does
        entry.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(entry)
        model.init_weights()
    return model.train()


def batch_of(cfg: Config) -> dict:
    """The first batch of the training data."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))


def loss_of(model: torch.nn.Module, batch: dict) -> torch.Tensor:
    data = model.data_preprocessor(batch, training=True)
    losses = model(**data, mode='loss')
    return model.parse_losses(losses)[0]
