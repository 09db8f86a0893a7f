"""Options that the commands share, and files that come with the package."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from mmengine.device import get_device

import mim_plugin
from mim_plugin.errors import CheckpointError, ConfigError

__all__ = ['SHIPPED', 'check_device', 'check_names', 'check_start', 'find_configs']

DEVICES = ('cpu', 'cuda')
SHIPPED = Path(mim_plugin.__file__).resolve().parent / 'zoo' / 'ibot_vit-mini-p16' / 'model.safetensors'


def find_configs(family: str) -> Path:
    """Finds ``configs/FAMILY`` beside the package (a checkout) or inside it (an installed wheel).

    Raises:
        ConfigError: If neither exists.
    """
    package = Path(mim_plugin.__file__).resolve().parent
    for root in (package.parent, package / '.mim'):
        if (root / 'configs' / family).is_dir():
            return root / 'configs' / family
    raise ConfigError(f'configs/{family} is neither beside nor inside {package}: run from a checkout of mim_plugin.')


def check_device(device: str | None) -> None:
    """Raises a ConfigError unless a run on ``device`` is possible; None is what the machine has."""
    if device not in (None, *DEVICES):
        raise ConfigError(f"--device {device} is unknown: give 'cpu' or 'cuda'.")
    if device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError('--device cuda was asked for but torch finds no GPU: use --device cpu or install CUDA.')
    if device == 'cpu' and get_device() != 'cpu':
        raise ConfigError(
            '--device cpu was asked for but this Python already took a GPU: start it with CUDA_VISIBLE_DEVICES=""'
            ' in the environment.'
        )


def check_names(option: str, chosen: Collection[str], known: Collection[str]) -> None:
    """Raises a ConfigError unless at least one name was chosen and all are known.

    Args:
        option: Name of the option, a plural such as 'arms'.
        chosen: Names that the user gave.
        known: Names that there are.
    """
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise ConfigError(
            f'--{option} {",".join(chosen)}: {unknown or "nothing"} is no {option.removesuffix("s")}; use '
            f'{", ".join(known)}.'
        )


def check_start(checkpoint: Path) -> None:
    """Raises a CheckpointError unless the file that trainings start from is there."""
    if not Path(checkpoint).is_file():
        raise CheckpointError(f'The checkpoint {checkpoint} is missing: give another file.')
