"""Weights of a discrete autoencoder from a file, with one clear word where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from mim_plugin.checkpoints.contents import state_dict_of
from mim_plugin.checkpoints.foreign_module import read_foreign_module
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import CheckpointError

__all__ = ['load_network']

# What `DiscreteVAE` and its checkpoints call the network.
_PREFIX = 'network.'


def load_network(network: nn.Module, path: str) -> None:
    """Fill a network of :mod:`mim_plugin.models.dvae` from a file.

    Read are: a state dict, a checkpoint of ``DiscreteVAE``, BEiT's published file of its own tokenizer
    (entry ``weights``), and whole pickled modules (``.pkl``), see
    :func:`~mim_plugin.checkpoints.foreign_module.read_foreign_module`.

    Args:
        network: The network; it tells from the names and shapes what a file holds.
        path: The file.

    Raises:
        CheckpointError: The file is missing, damaged, of another kind or of another size.
    """
    state = _state_of(path)
    sizes = network.sizes_in(state)
    if sizes is None:
        raise CheckpointError(
            f'{path} does not hold {network.kind}: it has {_shorten(state)}; name the file of the right network.'
        )
    differing = {key: value for key, value in sizes.items() if network.sizes[key] != value}
    if differing:
        found = ', '.join(f'{key}={value} (config: {network.sizes[key]})' for key, value in differing.items())
        raise CheckpointError(f"{path} holds {network.kind} with {found}; set the tokenizer's sizes to the file's.")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        details = ' '.join(str(error).split())
        raise CheckpointError(f'{path} holds only a part of {network.kind} ({details}); get the whole file.') from error


def _state_of(path: str) -> Mapping[str, Tensor]:
    if Path(path).suffix == '.pkl':
        return read_foreign_module(path).state_dict
    checkpoint = read_checkpoint(path)
    state = state_dict_of({'state_dict': checkpoint['weights']} if 'weights' in checkpoint else checkpoint)
    below = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
    return below or state


def _shorten(state: Mapping[str, Tensor], limit: int = 3) -> str:
    names = [f'{name} {tuple(value.shape)}' for name, value in list(state.items())[:limit]]
    return ', '.join(names) + (f' and {len(state) - limit} more' if len(state) > limit else '')
