"""One override that makes any config of this project small enough for a step in seconds on a CPU."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mim_plugin.apis.config_tree import type_name, walk_dicts
from mim_plugin.models.backbones.swin_transformer import SWIN_ARCHS
from mim_plugin.models.backbones.vision_transformer import ARCHS
from mim_plugin.registry import MODELS
from mim_plugin.testing.images import write_image_folder, write_segmentation_folder
from mim_plugin.testing.shrink_classification import generate_classification_data
from mim_plugin.testing.shrink_detection import generate_coco, is_coco, shrink_detector
from mim_plugin.testing.token_cache import write_random_token_cache

__all__ = ['generate_data', 'shrink', 'start_at_random']

WIDTH = 64
SWIN_WIDTH = 16
IMAGE_SIZE = 64
BATCH_SIZE = 2
EPOCHS = 2
ITERATIONS = 2

_BACKBONES = ('MIMVisionTransformer', 'MIMSwinTransformer')
_TIED_TO_WIDTH = ('in_dim', 'in_channels', 'embed_dim', 'embed_dims', 'channels')
_FREE_WIDTHS = (
    'out_dim', 'patch_out_dim', 'hidden_dim', 'bottleneck_dim', 'vocabulary_size', 'codebook_dim', 'init_dim',
)  # fmt: skip
_SIZES = ('img_size', 'size', 'crop_size', 'stride', 'scale', 'global_size', 'local_size', 'target_size')
_SHORT_WARMUP = {'epochs': 0.5, 'release_epochs': 0.5, 'min_iters': 0}  # of HeadWarmupHook
_SCHEDULE_STEPS = ('begin', 'end', 'epochs', 'warmup_epochs', 'warmup_iters', 'T_max', 'milestones')


def shrink(cfg: Config, folder: str | Path | None = None) -> Config:
    """Make a config small: same types, same keys, same relations between channels.

    =============  ========================================================================
    part           becomes
    =============  ========================================================================
    backbone       64 wide, 2 heads, 2 blocks (or one block for each of its outputs); a Swin transformer
                   16 to 128 wide, 2 blocks in its first stage and 1 in the others
    channels       what is n times the backbone's width stays n times its width
    heads          hidden layers, bottleneck, prototypes and codes at most 64
    detectors      heads at most 64 wide, 32 samples and proposals of an image
    autoencoders   64 wide, 64 codes; their crops in proportion to one of 112 pixels
    tokenizers     no file of weights; a token cache becomes one of random ids
    images         the backbone's image size becomes 64 pixels, all crops, sizes and strides
                   in proportion (multiples of the patch); masks follow from the crops, a number of
                   hidden patches becomes at most 6
    data           folders of four generated images (with objects for a detector), batches of 2, no worker processes
    neighbours     k of a k-NN metric at most 2
    schedule       2 epochs of 2 steps (or 2 iterations), warm-ups (and epochs without masks) at most 1,
                   every hook each step
    start          from random weights, where new heads are warmed up from a file of them; without a GPU nothing else
                   changes
    =============  ========================================================================

    Args:
        cfg: The config; it is not changed.
        folder: Where the generated images go; a new temporary folder when None.

    Returns:
        The small config.
    """
    cfg = copy.deepcopy(cfg)
    folder = Path(folder or tempfile.mkdtemp(prefix='mim_plugin_shrink_'))
    backbones = [entry for _, entry in walk_dicts(cfg) if type_name(entry) in _BACKBONES]
    for backbone in backbones:
        is_swin = type_name(backbone) == 'MIMSwinTransformer'
        _shrink_widths(cfg, _width(backbone, SWIN_ARCHS if is_swin else ARCHS), SWIN_WIDTH if is_swin else WIDTH)
        _shrink_sizes(cfg, backbone, 8 * backbone.get('patch_size', 4) if is_swin else backbone.get('patch_size', 16))
        (_shrink_swin if is_swin else _shrink_backbone)(backbone)
    if type_name(cfg.get('model') or {}) == 'DiscreteVAE':  # it has no backbone, and a grid of 4 or 8 pixels
        _shrink_widths(cfg, WIDTH, WIDTH)
        _shrink_sizes(cfg, dict(img_size=112), 8)
    generate_data(cfg, folder)
    _shrink_masks(cfg)
    _shrink_loaders(cfg)
    _shrink_schedule(cfg)
    start_at_random(cfg)
    if any(type_name(hook) == 'HeadWarmupHook' for hook in cfg.get('custom_hooks') or []):
        cfg.load_from = _random_backbone(cfg, folder)
    return cfg


def generate_data(cfg: Config, folder: str | Path) -> None:
    """Let every data set of a config read generated images, which are written to ``folder``; changes ``cfg``."""
    folder = Path(folder)
    for _, entry in walk_dicts(cfg):
        dataset = entry.get('dataset')
        if not isinstance(dataset, dict) or 'pipeline' not in dataset:
            continue
        if is_coco(dataset):
            generate_coco(cfg, dataset, folder / 'coco')
            continue
        if generate_classification_data(dataset, folder):
            continue
        prefix = dataset.get('data_prefix') or {}
        prefix = {'img_path': prefix} if isinstance(prefix, str) else prefix
        root, images = folder / 'images', prefix.get('img_path', '')
        if any(type_name(step) == 'LoadAnnotations' for step in dataset['pipeline']):
            root = folder / 'segmentation'
            write_segmentation_folder(root / images, root / prefix.get('seg_map_path', ''))
            if dataset.get('ann_file'):  # PASCAL VOC lists the names of its images
                listed = root / dataset['ann_file']
                listed.parent.mkdir(parents=True, exist_ok=True)
                listed.write_text('\n'.join(path.stem for path in sorted((root / images).iterdir())))
            if type_name(dataset) == 'BaseSegDataset':  # the only one without class names of its own
                classes = cfg.model.decode_head.num_classes
                dataset.setdefault('metainfo', dict(classes=[str(label) for label in range(classes)]))
        else:
            write_image_folder(root / images)
            for key in ('ann_file', 'classes', 'indices'):
                dataset.pop(key, None)
        dataset['data_root'] = str(root)
        if any(type_name(step) == 'CachedTokenCrop' for step in dataset['pipeline']):
            write_random_token_cache(cfg, dataset, folder / 'tokens')


def _width(backbone: dict, archs: dict[str, dict]) -> int:
    arch = backbone.get('arch', 'tiny' if archs is SWIN_ARCHS else 'base')
    return (archs[arch] if isinstance(arch, str) else arch)['embed_dims']


def _shrink_backbone(backbone: dict) -> None:
    outputs = backbone.get('out_indices', -1)
    depth = max(2, len(outputs)) if isinstance(outputs, (list, tuple)) else 2
    if isinstance(outputs, (list, tuple)):
        backbone['out_indices'] = tuple(range(len(outputs)))
    elif outputs >= 0:
        backbone['out_indices'] = depth - 1
    if 'frozen_stages' in backbone:
        backbone['frozen_stages'] = min(backbone['frozen_stages'], depth)
    backbone['arch'] = dict(embed_dims=WIDTH, num_layers=depth, num_heads=2, feedforward_channels=2 * WIDTH)


def _shrink_swin(backbone: dict) -> None:
    # The first stage has a block that shifts; the number of stages stays, because tasks count on it.
    backbone['arch'] = dict(embed_dims=SWIN_WIDTH, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4))


def _shrink_widths(cfg: Config, width: int, small: int) -> None:
    def tied(value: int) -> int:
        return value // width * small if value % width == 0 else min(value, WIDTH)

    for _, entry in walk_dicts(cfg.get('model')):
        for key in entry.keys() & _TIED_TO_WIDTH:
            entry[key] = _map_ints(tied, entry[key])
        for key in entry.keys() & _FREE_WIDTHS:
            entry[key] = _map_ints(lambda value: min(value, WIDTH), entry[key])


def _shrink_sizes(cfg: Config, backbone: dict, patch: int) -> None:
    size = backbone.get('img_size', 224)
    factor = IMAGE_SIZE / max(IMAGE_SIZE, *(size if isinstance(size, (list, tuple)) else (size,)))

    def smaller(value: int) -> int:
        # Small numbers under these keys are not pixels of an image (the stride of a convolution).
        return value if value < 2 * patch else max(patch, round(value * factor / patch) * patch)

    for _, entry in walk_dicts(cfg):
        for key in entry.keys() & _SIZES:
            entry[key] = _map_ints(smaller, entry[key])
    shrink_detector(cfg, lambda sizes: _map_ints(smaller, sizes))


def _shrink_masks(cfg: Config) -> None:
    for _, entry in walk_dicts(cfg):
        if type_name(entry) == 'BEiTMasks':
            entry['num_masked'], entry['min_per_block'] = min(entry.get('num_masked', 75), 6), 2
        if 'pred_start_epoch' in entry:
            entry['pred_start_epoch'] = min(entry['pred_start_epoch'], 1)


def _shrink_loaders(cfg: Config) -> None:
    for _, entry in walk_dicts(cfg):
        if 'dataset' in entry and 'batch_size' in entry:
            entry.update(batch_size=BATCH_SIZE, num_workers=0, persistent_workers=False)
            entry.pop('prefetch_factor', None)


def _shrink_schedule(cfg: Config) -> None:
    loop = cfg.get('train_cfg') or {}
    by_epoch = 'max_epochs' in loop
    last = EPOCHS if by_epoch else ITERATIONS
    length = loop.get('max_epochs' if by_epoch else 'max_iters', 0)
    if loop:
        loop['max_epochs' if by_epoch else 'max_iters'] = last
        loop['val_interval'] = 1 if by_epoch else last
        if 'val_begin' in loop:
            loop['val_begin'] = 1
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        for key in scheduler.keys() & _SCHEDULE_STEPS:
            limit = 1 if key in ('begin', 'warmup_epochs', 'warmup_iters') else last
            if scheduler.get('by_epoch', True) == by_epoch and key == 'end':
                limit += max(0, scheduler[key] - length)  # a schedule that ends after the run still does so
            scheduler[key] = _map_ints(lambda value, limit=limit: min(value, limit), scheduler[key])
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    for hook in filter(None, hooks):
        for key in hook.keys() & {'interval', 'warmup_epochs'}:
            hook[key] = min(hook[key], 1)
    for _, entry in walk_dicts(cfg):
        if type_name(entry) == 'KNNMetric':
            entry['k'] = (1, BATCH_SIZE)
        if type_name(entry) == 'FeatureGuardHook':
            entry.update(k=BATCH_SIZE, tolerance=100.0)
        if type_name(entry) == 'HeadWarmupHook':
            entry.update({key: value for key, value in _SHORT_WARMUP.items() if key in entry})


def start_at_random(cfg: Config) -> None:
    """Let nothing be read from a file of weights, a tokenizer's included; changes ``cfg``."""
    cfg.load_from, cfg.resume = None, False
    for _, entry in walk_dicts(cfg.get('model')):
        if type_name(entry.get('init_cfg') or {}) == 'Pretrained':
            entry['init_cfg'] = None
    for part in ('tokenizer', 'patch_tokenizer'):
        for _, entry in walk_dicts((cfg.get('model') or {}).get(part)):
            for key in entry.keys() & {'checkpoint', 'decoder_checkpoint'}:
                entry[key] = None


def _random_backbone(cfg: Config, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    backbone = MODELS.build(cfg.model.backbone)
    torch.save({f'backbone.{name}': value for name, value in backbone.state_dict().items()}, folder / 'start.pth')
    return str(folder / 'start.pth')


def _map_ints(change: Callable[[int], int], value: Any) -> Any:
    """Change an int, or every int of a sequence; leave all else as it is."""
    if isinstance(value, (list, tuple)):
        return type(value)(_map_ints(change, item) for item in value)
    return change(value) if isinstance(value, int) and not isinstance(value, bool) else value
