"""Pictures of what a trained BEiT predicts for hidden patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from torch import Tensor

from mim_plugin.apis.config_errors import explain_build_errors
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.run import prepare_config
from mim_plugin.datasets.files import find_images
from mim_plugin.datasets.transforms import BEiTMasks, LoadImagePIL, PackViews, TwoResolutionCrop
from mim_plugin.errors import ConfigError, DataError
from mim_plugin.models.algorithms import BEiT
from mim_plugin.registry import MODELS, TRANSFORMS
from mim_plugin.visualization.predictions import draw_predictions

__all__ = ['Prediction', 'decode_predictions', 'load_beit', 'picture_of_predictions']


@dataclass
class Prediction:
    """Targets of images and what was predicted for them.

    Attributes:
        decoded: Pictures of the true targets, ``(B, 3, H', W')`` in [0, 1].
        predicted: The same with the predictions in the hidden patches.
        right: Share of the hidden patches whose code was guessed right, ``(B,)``; None for values.
    """

    decoded: Tensor
    predicted: Tensor
    right: Tensor | None


@torch.no_grad()
def decode_predictions(model: BEiT, views: dict) -> Prediction:
    """Decode the targets of masked images, and the model's predictions of them.

    Args:
        model: A BEiT whose tokenizer can decode.
        views: See :class:`MIMDataPreprocessor`.

    Returns:
        The pictures.
    """
    targets, mask = model.targets(views).patches, views['mask']
    guess = model.predict_patches(views).unflatten(1, mask.shape[1:]).float()
    right = None
    if model.tokenizer.kind == 'ids':
        guess = guess.argmax(-1)
        hits = ((guess == targets) & mask).flatten(1).sum(1)
        right = hits / mask.flatten(1).sum(1).clamp(min=1)
        mixed = torch.where(mask, guess, targets)
    else:
        mixed = torch.where(mask.unsqueeze(-1), guess, targets)
    return Prediction(model.tokenizer.decode(targets), model.tokenizer.decode(mixed), right)


def load_beit(config: str | Config, checkpoint: str, cfg_options: dict | None = None) -> tuple[BEiT, Config]:
    """Build the BEiT of a training config with trained weights, to look at it.

    Args:
        config: A config or its path.
        checkpoint: Weights of its training.
        cfg_options: Overrides of the config with dotted keys.

    Returns:
        The model in evaluation mode, and the config.

    Raises:
        ConfigError: The config is of another algorithm, or its tokenizer cannot decode.
        CheckpointError: The weights do not fit.
    """
    cfg = prepare_config(config, cfg_options=cfg_options)
    if type_name(cfg.get('model') or {}) != 'BEiT':
        raise ConfigError(f'{cfg.filename} is no config of BEiT, so it predicts no codes; choose one of configs/beit.')
    with DefaultScope.overwrite_default_scope('mim_plugin'), explain_build_errors(cfg):
        model = MODELS.build({**cfg.model, 'init_cfg': dict(type='Pretrained', checkpoint=checkpoint)})
    if not model.tokenizer.can_decode:
        raise ConfigError(
            f'{type(model.tokenizer).__name__} of {cfg.filename} has no decoder, so there is nothing to draw; '
            'docs/tokenizers.md tells which tokenizers have one.'
        )
    model.init_weights()
    return model.to('cuda' if torch.cuda.is_available() else 'cpu').eval(), cfg


def picture_of_predictions(
    config: str | Config,
    checkpoint: str,
    images: Sequence[str],
    count: int = 6,
    seed: int = 0,
    cfg_options: dict | None = None,
) -> Figure:
    """Draw images, their hidden patches, their codes decoded, and the predicted codes decoded.

    Images are resized and cut in the middle; they are masked as in training.

    Args:
        config: A training config of BEiT, or its path.
        checkpoint: Weights of its training.
        images: Image files and folders of images.
        count: Draw at most so many images, evenly from those that are found.
        seed: Of the masks.
        cfg_options: Overrides of the config with dotted keys.

    Returns:
        The figure.
    """
    model, cfg = load_beit(config, checkpoint, cfg_options)
    inputs = [_views(cfg, path, seed + i) for i, path in enumerate(_choose(images, count))]
    batch = {key: [torch.stack([views[key][0] for views in inputs])] for key in inputs[0] if inputs[0][key]}
    found = decode_predictions(model, model.data_preprocessor({'inputs': batch})['inputs'])
    notes = [] if found.right is None else [f'{100 * share:.0f} % of hidden codes right' for share in found.right]
    return draw_predictions(
        list(batch['global'][0].permute(0, 2, 3, 1).numpy()),
        list(batch['mask'][0].numpy()),
        _pixels(found.decoded),
        _pixels(found.predicted),
        notes,
        title=f'{Path(cfg.filename).stem}, {Path(checkpoint).name}',
    )


def _choose(images: Sequence[str], count: int) -> list[str]:
    paths = []
    for name in images:
        folder = Path(name)
        paths += [str(folder / path) for path in find_images(name)] if folder.is_dir() else [name]
    if not paths:
        raise DataError(f'There is no image in {", ".join(images)}; name image files or folders with --images.')
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[place] for place in places]


def _views(cfg: Config, path: str, seed: int) -> dict:
    """Both views and the mask of the middle of an image, by the steps of the training."""
    steps = {type_name(step): step for step in cfg.train_dataloader.dataset.pipeline}
    if not {'TwoResolutionCrop', 'BEiTMasks'} <= steps.keys():
        raise ConfigError(f'The train_pipeline of {cfg.filename} lacks TwoResolutionCrop or BEiTMasks; add both.')
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        crop: TwoResolutionCrop = TRANSFORMS.build(steps['TwoResolutionCrop'])
        masks: BEiTMasks = TRANSFORMS.build(steps['BEiTMasks'])
    image = LoadImagePIL().load(path)
    views, targets = crop.views(image, _middle(image, crop.size))
    results = {'global_crops': views, 'local_crops': [], 'rng': np.random.default_rng(seed)}
    if targets:
        results['target_crops'] = targets
    return PackViews().transform(masks.transform(results))['inputs']


def _middle(image: Image.Image, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of an image with the shape of ``(rows, columns)``."""
    scale = min(image.height / size[0], image.width / size[1])
    height, width = round(size[0] * scale), round(size[1] * scale)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return left, top, left + width, top + height


def _pixels(images: Tensor) -> list[np.ndarray]:
    return list((images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
