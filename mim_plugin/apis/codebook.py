"""How well a trained tokenizer's codes describe images, and how many of them it uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor
from torch.utils.data import DataLoader

from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.run import prepare_config
from mim_plugin.datasets import UnlabelledImages
from mim_plugin.errors import ConfigError
from mim_plugin.models.losses.dvae import count_codes, perplexity, share_used
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import MODELS

__all__ = ['CodeReport', 'load_tokenizer', 'measure_codes']

# Key of each crop's size that says what the tokenizer is shown.
_SIZES = {'MultiCrop': ('global_size',), 'TwoResolutionCrop': ('target_size', 'size')}


@dataclass
class CodeReport:
    """Codes of a folder of images.

    Attributes:
        counts: Occurrences of each code, ``(K,)``.
        psnr: Mean peak signal-to-noise ratio of the images decoded from their codes, in dB.
        cell_psnr: The same where each cell has its mean colour, of which there are 16 million and not K.
        image_psnr: The same where the image has its mean colour.
        images: Some images, uint8 ``(N, H, W, 3)``.
        decoded: What their codes decode to.
    """

    counts: Tensor
    psnr: float
    cell_psnr: float
    image_psnr: float
    images: np.ndarray
    decoded: np.ndarray

    def __str__(self) -> str:
        total = len(self.counts)
        return (
            f'{int((self.counts > 0).sum())} of {total} codes occur ({share_used(self.counts):.1f} %) in '
            f'{int(self.counts.sum()):,} cells, perplexity {perplexity(self.counts):.1f}\n'
            f'reconstructions {self.psnr:.2f} dB; mean colour of each cell {self.cell_psnr:.2f} dB, '
            f'of each image {self.image_psnr:.2f} dB'
        )


def load_tokenizer(
    config: str | Config, checkpoint: str | None = None, cfg_options: dict | None = None
) -> tuple[FrozenTokenizer, int | tuple[int, int]]:
    """The tokenizer that a config trains (``DiscreteVAE``) or uses (``BEiT``), and the size of what it is shown.

    Args:
        config: A training config or its path.
        checkpoint: Weights of the tokenizer; may be left out for a BEiT, whose config names them.
        cfg_options: Overrides of the config with dotted keys.

    Raises:
        ConfigError: The config has no tokenizer that decodes, or no crop that says a size.
        CheckpointError: The weights do not fit.
    """
    cfg = prepare_config(config, cfg_options=cfg_options)
    model = dict(cfg.get('model') or {})
    if type_name(model) == 'DiscreteVAE':
        entry = dict(type='DVAETokenizer', network=model['network'])
        entry |= {'pixel_law': model['pixel_law']} if 'pixel_law' in model else {}
    else:
        entry = dict(model.get('tokenizer') or {})
    if checkpoint:
        entry['checkpoint'] = checkpoint
    if not entry.get('type') or (type_name(model) == 'DiscreteVAE' and not checkpoint):
        raise ConfigError(
            f'{cfg.filename} names no trained tokenizer; give a config of BEiT, or one of a dVAE with its checkpoint.'
        )
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        tokenizer = MODELS.build(entry)
    if not getattr(tokenizer, 'can_decode', False):
        raise ConfigError(f'{type(tokenizer).__name__} of {cfg.filename} has no decoder, so nothing can be compared.')
    tokenizer.init_weights()
    return tokenizer.freeze(), _size(cfg)


@torch.no_grad()
def measure_codes(
    tokenizer: FrozenTokenizer, folder: str, size: int | tuple[int, int], num_images: int = 12, batch_size: int = 64
) -> CodeReport:
    """Encode and decode all images of a folder.

    Args:
        tokenizer: One with a decoder, loaded.
        folder: Folder of images, searched with its sub-folders; the middle of each is taken.
        size: Pixels of what the tokenizer is shown, one number or ``(rows, columns)``.
        num_images: So many images are kept for a picture, evenly from the folder.
        batch_size: Images at once.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    tokenizer = tokenizer.to(device)
    side = size if isinstance(size, int) else max(size)
    steps = [dict(type='LoadImagePIL'), dict(type='ResizeShortSide', size=side), dict(type='CenterCrop', size=size)]
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        images = UnlabelledImages(folder, [*steps, dict(type='PackImage')])
    kept = set(np.linspace(0, len(images) - 1, min(num_images, len(images))).round().astype(int).tolist())
    counts = torch.zeros(tokenizer.vocabulary_size, device=device)
    errors, pairs, index = [], [], 0
    for batch in DataLoader(images, batch_size, collate_fn=lambda samples: [s['inputs'] for s in samples]):
        pixels = torch.stack(batch).to(device).float() / 255
        ids = tokenizer(pixels).patches
        decoded = tokenizer.decode(ids)
        counts += count_codes(ids, tokenizer.vocabulary_size)
        errors.append(_errors(pixels, decoded, tuple(ids.shape[1:])))
        pairs += [(pixels[i], decoded[i]) for i in range(len(batch)) if index + i in kept]
        index += len(batch)
    ratios = (-10 * torch.cat(errors, 1).clamp(min=1e-10).log10()).mean(1).tolist()
    pictures = [torch.stack(part).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy() for part in zip(*pairs)]
    return CodeReport(counts.cpu(), *ratios, *pictures)


def _errors(pixels: Tensor, decoded: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mean square error of each image by its codes, by the colours of its cells, and by its own colour, ``(3, B)``."""
    rivals = [decoded]
    for cells in (grid, (1, 1)):
        rivals.append(F.interpolate(F.adaptive_avg_pool2d(pixels, cells), pixels.shape[2:]))
    return torch.stack([(rival - pixels).square().flatten(1).mean(1) for rival in rivals])


def _size(cfg: Config) -> int | tuple[int, int]:
    for step in cfg.train_dataloader.dataset.pipeline:
        for key in _SIZES.get(type_name(step), ()):
            if step.get(key):
                return step[key]
    raise ConfigError(
        f'The train_pipeline of {Path(cfg.filename).name} has no crop with a size; add MultiCrop or TwoResolutionCrop.'
    )
