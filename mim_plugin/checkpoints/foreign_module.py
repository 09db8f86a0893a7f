"""The weights of a whole pickled module, without the code that it was pickled with.

The published files of DALL-E's autoencoder are such modules. Unpickling one in the usual way imports and calls
whatever it names. Here every name in the file becomes an inert stand-in that notes what it is given; real are
only the functions that rebuild tensors from stored bytes.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.kinds import check_archive, check_claims, damaged, first_bytes
from mim_plugin.errors import CheckpointError

__all__ = ['ForeignModule', 'read_foreign_module']


@dataclass
class ForeignModule:
    """What a pickled module holds.

    Attributes:
        class_name: Its class, as the file says; the class itself was not imported.
        state_dict: Parameters and buffers, as ``state_dict()`` would have given.
    """

    class_name: str
    state_dict: dict[str, Tensor]


def read_foreign_module(path: str | os.PathLike) -> ForeignModule:
    """Read the weights of a file written by ``torch.save(module, path)``, of any version since torch 0.2.

    No code of the file is run and no package that it names is imported. Only parameters, buffers and
    sub-modules are looked at; what else the module had is dropped.

    Args:
        path: File; ``~`` is expanded. Both containers of torch are read, zip and the older stream.

    Returns:
        Class name and weights, on the CPU.

    Raises:
        CheckpointError: The file is missing, damaged, or does not hold a module.
    """
    path = Path(path).expanduser()
    check_archive(path, first_bytes(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # torch misses the source of the classes
            module = torch.load(path, map_location='cpu', weights_only=False, pickle_module=_INERT_PICKLE)
    except Exception as error:
        # As many types come out of a cut or forged stream as there are ways to cut it.
        raise damaged(path) from error
    if not isinstance(module, Inert):
        raise CheckpointError(
            f'{path} holds an object of type {type(module).__name__}, not a pickled module; '
            'a file with a state dict should be named .pth or .safetensors.'
        )
    state = dict(_tensors(module, '', ()))
    if not state:
        raise CheckpointError(f'{path} holds a {module.full_name()} without weights; check which file it is.')
    check_claims(path, state)
    return ForeignModule(module.full_name(), state)


class Inert:
    """Stands for an object of a class that is not imported; keeps its state, does nothing."""

    dump_patches = False  # torch asks classes for it
    state: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        """Take any arguments, look at none."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    @classmethod
    def full_name(cls) -> str:
        """Name of the class that this stands for."""
        return f'{cls.__module__}.{cls.__qualname__}'

    def append(self, item: Any) -> None:
        """An item of an object that is a list; dropped."""

    def extend(self, items: Any) -> None:
        """The same for several."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """An item of an object that is a dict; dropped."""


# Functions of torch that turn stored bytes into tensors, under every name that they had.
_REAL: dict[tuple[str, str], Callable] = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('torch._utils', '_rebuild_tensor'): torch._utils._rebuild_tensor,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
}


class InertUnpickler(pickle._Unpickler):
    """Finds nothing but :data:`_REAL` and stand-ins, so that there is nothing else to call.

    Python's own implementation, because one of its steps is replaced.
    """

    dispatch = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        """The function or class of a name in the file."""
        return _REAL.get((module, name)) or type(name, (Inert,), {'__module__': module})

    def load_build(self) -> None:
        """Give an object its state. Attributes of functions and classes are not set."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.state = state
        elif type(target) is not OrderedDict:  # what an OrderedDict carries besides its items is not needed
            raise pickle.UnpicklingError(f'state for {type(target).__name__}')

    dispatch[pickle.BUILD[0]] = load_build


def _load(file: Any, **kwargs: Any) -> Any:
    return InertUnpickler(file, **kwargs).load()


_INERT_PICKLE = SimpleNamespace(__name__='inert_pickle', Unpickler=InertUnpickler, load=_load)


def _tensors(module: Any, prefix: str, above: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a module and of those below it; a module within itself is not entered."""
    state = getattr(module, 'state', None)
    if not isinstance(state, dict) or id(module) in above:
        return
    for kind in ('_parameters', '_buffers'):
        for name, value in _items(state, kind):
            if isinstance(value, Tensor):
                yield f'{prefix}{name}', value.detach()
    for name, child in _items(state, '_modules'):
        yield from _tensors(child, f'{prefix}{name}.', (*above, id(module)))


def _items(state: dict, kind: str) -> list[tuple[Any, Any]]:
    entry = state.get(kind)
    return list(entry.items()) if isinstance(entry, dict) else []
