"""Comparing outputs of the classes of both families of a conversion with ours, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.formats.base import Format
from mim_plugin.checkpoints.formats.registry import by_name
from mim_plugin.checkpoints.formats.traits import below
from mim_plugin.errors import CheckpointError

if TYPE_CHECKING:
    from mim_plugin.checkpoints.convert import Converted

__all__ = ['verified']

State = dict[str, Tensor]


def verified(converted: Converted, source: State, part: str | None = None, tolerance: float = 1e-5) -> list[str]:
    """Compare patch tokens of a random image.

    Args:
        converted: A conversion.
        source: The tensors of the file.
        part: 'teacher' or 'student', whichever was taken of a pair; None: both, of which the teacher is compared.
        tolerance: Largest difference, relative to the largest number.

    Returns:
        What was compared, with the differences.

    Raises:
        CheckpointError: Outputs differ, a class does not take the weights, or there is nothing to compare.
    """
    if not converted.config:
        raise CheckpointError('there is no backbone whose outputs could be compared; leave out --verify.')
    config, lines = _comparable(converted.config), []
    size = config['img_size']
    sides = (size, size) if isinstance(size, int) else size
    images = torch.randn(1, config['in_channels'], *sides, generator=torch.Generator().manual_seed(0))
    network = below(converted.ours, 'tokenizer.') or converted.ours
    expected = by_name('mim_plugin').outputs(_single(network), config, images)
    if not expected.isfinite().all():
        raise CheckpointError('our backbone gives numbers that are not finite with these weights.')
    lines.append(f'our {config["type"]} takes the weights; patch tokens are finite')
    families = [(converted.target_format, converted.state)]
    if converted.report.geometry:
        lines.append(f'not against {converted.source_format.name}, whose sizes are others')
    else:
        families.insert(0, (converted.source_format, source))
    for family, state in families:
        if family.name != 'mim_plugin':
            network = below(state, f'{part or "teacher"}.') or state  # of a file with two
            lines.append(_compared(family, _single(network), config, images, expected, tolerance))
    return lines


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    """Settings with which Swin transformers of all families compute the same.

    On a map of the size of a window the toolboxes shift windows, which the published code, timm and we do not. Twice
    the size has no such map. Where a file has smaller windows in late stages, its own size is the only one.
    """
    if config['type'] != 'MIMSwinTransformer':
        return config
    smallest_map = config['img_size'] // (config['patch_size'] * 2 ** (len(config['arch']['depths']) - 1))
    return {**config, 'img_size': 2 * config['img_size']} if smallest_map == config['window_size'] else config


def _compared(
    family: Format, state: State, config: Mapping[str, Any], images: Tensor, expected: Tensor, tolerance: float
) -> str:
    """How far the outputs of a family's class are from ours."""
    try:
        found = family.outputs(state, config, images)
    except NotImplementedError as error:
        return f'not against {family.name}: {error}'
    except RuntimeError as error:  # of load_state_dict, which lists names and shapes
        message = ' '.join(str(error).split())
        raise CheckpointError(f'The class of {family.title} does not take the weights: {message}') from error
    except ImportError as error:
        raise CheckpointError(f'--verify needs the package of {family.title} ({error}); install it.') from error
    difference = float((found - expected).abs().max() / expected.abs().max())
    if not difference <= tolerance:
        raise CheckpointError(
            f'patch tokens of {family.title} differ from ours by {difference:.1e} of the largest, more than '
            f'{tolerance:.0e}; nothing was written.'
        )
    by = f', computed by {family.compared_by},' if family.compared_by else ''
    return f'patch tokens of {family.title}{by} agree with ours within {difference:.1e} of the largest'


def _single(state: State) -> State:
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
