"""One call from a trained model to its predictions, and to pictures of them.

::

    from mim_plugin.apis import inference, init_model

    model = init_model(CONFIG, CHECKPOINT)
    samples = inference(model, 'photos/', out_dir='drawn/')
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from mmengine.structures import BaseDataElement
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import nn

from mim_plugin.apis.config_errors import explain_build_errors, read_config
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.run import prepare_config
from mim_plugin.apis.tasks import check_toolbox, task_of
from mim_plugin.datasets.files import find_images
from mim_plugin.errors import CheckpointError, ConfigError, DataError

__all__ = ['inference', 'init_model', 'iter_inference']

_SHOWN = 5  # damaged images that are named
Images = str | os.PathLike | Sequence[str | os.PathLike]


def init_model(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None = None,
    device: str | None = None,
    cfg_options: dict | None = None,
) -> nn.Module:
    """Build the segmentor, detector or classifier of a config, with trained weights.

    Args:
        config: A config, or its path.
        checkpoint: Weights of its training, every one of which must fit. None: what ``init_cfg`` of the
            config names, the rest random.
        device: 'cpu', 'cuda:1', ...; None: the GPU if there is one.
        cfg_options: Overrides of the config with dotted keys.

    Returns:
        The toolbox's model in evaluation mode, with ``cfg`` and ``dataset_meta`` (names and colours of classes).

    Raises:
        ConfigError: The config cannot be read or built, is for another task, or its toolbox or the device is missing.
        CheckpointError: The weights cannot be read or do not fit.
    """
    device = _device(device)
    cfg = copy.deepcopy(config) if isinstance(config, Config) else read_config(str(config))
    cfg.pop('optim_wrapper', None)  # nothing is trained
    cfg = prepare_config(cfg, cfg_options=cfg_options)
    if not cfg.get('model') or 'pipeline' not in _test_dataset(cfg):
        raise ConfigError(
            f'{cfg.filename} has no model, or neither test_dataloader nor val_dataloader with a data set, whose '
            'pipeline prepares the images; take the config of a training run.'
        )
    check_toolbox(cfg)
    with _scope_of(cfg), explain_build_errors(cfg):
        model = MODELS.build(cfg.model)
        task_of(model)
        meta = _dataset_meta(cfg)
        if checkpoint:
            meta |= _load(model, str(checkpoint))
        else:
            print_log('No checkpoint: what init_cfg does not load is random.', logger='current', level=logging.WARNING)
            model.init_weights()
    model.cfg, model.dataset_meta = cfg, meta
    return revert_sync_batchnorm(model).to(device).eval()


def inference(
    model: nn.Module,
    images: Images,
    out_dir: str | os.PathLike | None = None,
    score_threshold: float = 0.3,
    opacity: float = 0.5,
    progress: bool | None = None,
) -> BaseDataElement | list[BaseDataElement]:
    """Predict, and draw what is predicted.

    Args:
        model: Result of :func:`init_model`.
        images: An image, a folder (with all folders in it), or a list of either.
        out_dir: Where the pictures go, under the names of the images; None: nothing is drawn.
        score_threshold: Draw objects from this score on.
        opacity: Of drawn segments, 0 to 1.
        progress: Show a bar; None: for more than one image.

    Returns:
        The toolbox's data sample (``SegDataSample``, ``DetDataSample``, ``DataSample``) on the CPU; a list of
        them unless ``images`` is one file. Samples of a list come without ``seg_logits``, which take
        as many numbers for a pixel as there are classes; :func:`iter_inference` gives them. In a list, None
        stands for an image that cannot be read; a warning names it.

    Raises:
        DataError: An image is missing, there is none, or none can be read.
        ConfigError: ``out_dir`` is among the images, or would overwrite one; ``opacity`` is none.
    """
    samples = []
    for _, sample in iter_inference(model, images, out_dir, score_threshold, opacity, progress):
        samples.append(sample)
        if _is_one(images):
            return sample
        if sample is not None and 'seg_logits' in sample:
            del sample.seg_logits
    return samples


@torch.no_grad()
def iter_inference(
    model: nn.Module,
    images: Images,
    out_dir: str | os.PathLike | None = None,
    score_threshold: float = 0.3,
    opacity: float = 0.5,
    progress: bool | None = None,
) -> Iterator[tuple[str, BaseDataElement | None]]:
    """As :func:`inference`, one image after the other: no more than one prediction is kept.

    Yields:
        Path of an image, and its data sample; None if it cannot be read.
    """
    if not 0 <= opacity <= 1:
        raise ConfigError(f'opacity={opacity} is no share; give 0 (the image alone) to 1 (the segments alone).')
    paths = _find(images)
    targets = _targets(images, paths, out_dir)
    task = task_of(model)
    with _scope_of(model.cfg):
        load, prepare, is_bgr = _pipeline(model.cfg)
        draw = task.drawer(model, score_threshold, opacity) if out_dir is not None else None
    bar = progress if progress is not None else len(paths) > 1
    damaged = []
    for path in track(paths, 'Inference', disable=not bar, console=Console(stderr=True)):
        try:
            loaded = _read(load, path)
        except DataError as error:
            damaged.append(error)
            if len(damaged) < len(paths):
                yield path, None
            continue
        image = loaded['img'].copy()
        if not is_bgr:
            loaded['img'] = image[..., ::-1].copy()
        sample = model.test_step(pseudo_collate([prepare(loaded)]))[0].cpu()
        if draw is not None:
            draw(image[..., ::-1], sample, targets[path])
        yield path, sample
    _report_damaged(damaged, len(paths))


def _device(name: str | None) -> torch.device:
    try:
        return torch.empty(0, device=name or get_device()).device
    except (AssertionError, RuntimeError) as error:  # torch asserts where it was built without CUDA
        reason = str(error).partition('\n')[0]
        raise ConfigError(f'device={name} cannot be used here ({reason}); leave it out, or give cpu.') from error


def _scope_of(cfg: Config):
    return DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mim_plugin'))


def _load(model: nn.Module, checkpoint: str) -> dict:
    """Load every weight; returns what the file says of its classes."""
    import mim_plugin.checkpoints  # noqa: F401  from here on checkpoints are read safely

    try:
        content = load_checkpoint(model, checkpoint, map_location='cpu', strict=True, logger='silent')
    except RuntimeError as error:
        reason = ' '.join(str(error).split())
        raise CheckpointError(
            f'{checkpoint} does not fit the {type(model).__name__} of the config; take the config of its training run. '
            f'{reason[:1000]}'
        ) from error
    said = (content.get('meta') or {}).get('dataset_meta') or {}
    return {key.lower(): value for key, value in said.items() if value is not None}


def _dataset_meta(cfg: Config) -> dict:
    """Names and colours of classes by the config, without opening its data."""
    dataset = _test_dataset(cfg)
    with DATASETS.switch_scope_and_registry(None) as registry:  # the default scope's
        own = getattr(registry.get(dataset.type), 'METAINFO', {})
    named = dataset.get('metainfo')
    meta = {**own, **(named if isinstance(named, dict) else {})}
    return {key.lower(): value for key, value in meta.items() if value is not None}


def _test_dataset(cfg: Config) -> dict:
    """The data set of the test or validation; empty without any."""
    loaders = (cfg.get('test_dataloader'), cfg.get('val_dataloader'))
    # An override of the command line may have made a loader without a data set.
    dataset = next((loader.dataset for loader in loaders if loader and loader.get('dataset')), {})
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset


def _pipeline(cfg: Config) -> tuple[Compose, Compose, bool]:
    """Loading, the other steps of the test pipeline, and whether the model wants BGR.

    What reads annotations is left out. A data set that holds decoded images (CIFAR) gives RGB
    and has no step that loads.
    """
    steps = [step for step in _test_dataset(cfg).pipeline if not _reads_annotations(type_name(step))]
    has_loader = bool(steps) and type_name(steps[0]).startswith('LoadImage')
    loader = steps.pop(0) if has_loader else dict(type='LoadImageFromFile')
    return Compose([loader]), Compose(steps), has_loader


def _reads_annotations(name: str) -> bool:
    return name.startswith('Load') and 'Annotation' in name


def _read(load: Compose, path: str) -> dict:
    try:
        with contextlib.suppress(OSError), Image.open(path):  # not all that cv2 reads; it has no limit of its own
            pass
        return load({'img_path': path, 'img_id': 0})
    except Exception as error:  # decoders meet damage with any exception; mmcv asserts
        raise DataError(f'{path} is not an image that can be read ({error}); repair or remove it.') from error


def _report_damaged(damaged: Sequence[DataError], count: int) -> None:
    """Name the images that could not be read: an error if that is all of them."""
    if not damaged:
        return
    if count == 1:
        raise damaged[0]
    text = f'{len(damaged)} of {count} images cannot be read. ' + ' '.join(map(str, damaged[:_SHOWN]))
    if len(damaged) == count:
        raise DataError(text)
    print_log(text, logger='current', level=logging.WARNING)


def _is_one(images: Images) -> bool:
    return isinstance(images, (str, os.PathLike)) and not Path(images).is_dir()


def _names(images: Images) -> list[str]:
    return [str(name) for name in ([images] if isinstance(images, (str, os.PathLike)) else images)]


def _find(images: Images) -> list[str]:
    """Paths of all images."""
    paths = []
    for name in _names(images):
        if Path(name).is_dir():
            found = find_images(name)
            if not found:
                raise DataError(f'There is no image in the folder {name}; check the path.')
            paths += [str(Path(name, inner)) for inner in found]
        elif Path(name).is_file():
            paths.append(name)
        else:
            raise DataError(f'There is no image {name}; check the path.')
    if not paths:
        raise DataError('The list of images is empty; name at least one image.')
    return list(dict.fromkeys(paths))


def _targets(images: Images, paths: Sequence[str], out_dir: str | os.PathLike | None) -> dict[str, str]:
    """Where the picture of each image goes: folders that the images do not share are kept."""
    if out_dir is None:
        return {}
    out = Path(out_dir).resolve()
    for name in _names(images):
        # Pictures there would be taken for images next time.
        if Path(name).is_dir() and Path(name).resolve() in (out, *out.parents):
            raise ConfigError(f'out_dir {out_dir} lies in the folder of images {name}; choose a folder outside.')
    full = {path: Path(path).resolve() for path in paths}
    shared = Path(os.path.commonpath([path.parent for path in full.values()]))
    targets = {}
    for path, place in full.items():
        inner = place.relative_to(shared)
        # cv2 writes by the ending, and not all that can be read.
        known = inner.suffix.lower() in ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
        targets[path] = str(Path(out_dir, inner if known else f'{inner}.png'))
    if set(full.values()) & {Path(target).resolve() for target in targets.values()}:
        raise ConfigError(f'out_dir {out_dir} would overwrite the images; choose another folder.')
    return targets
