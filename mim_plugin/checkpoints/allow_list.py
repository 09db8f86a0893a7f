"""What a pickled checkpoint may contain besides tensors and plain containers."""

from __future__ import annotations

import argparse
import io
import pickletools
import types
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

__all__ = ['other_globals', 'safe_globals']

_OF_TORCH = ('torch.', 'collections.OrderedDict')
_STATISTICS = ('min', 'max', 'current', 'mean')


def _history_method(owner: type, name: str) -> Callable:
    """The ``getattr`` of a HistoryBuffer: its own four statistics and nothing else."""
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise UnpicklingError(f'GLOBAL {getattr(owner, "__qualname__", type(owner).__name__)}.{name}')
    return getattr(HistoryBuffer, name)


def _numpy_reconstruct(cls: type, shape: tuple, typecode: Any) -> np.ndarray:
    """An empty array that the pickle then fills. Only of numpy's own class, and of no size, as numpy asks for it."""
    if cls is not np.ndarray or shape != (0,):
        raise UnpicklingError(f'GLOBAL {getattr(cls, "__module__", "")}.{getattr(cls, "__qualname__", cls)}{shape}')
    return np.ndarray.__new__(np.ndarray, shape, typecode)


def _numpy_scalar(dtype: np.dtype, raw: bytes) -> np.generic:
    """A number of numpy's."""
    return np.frombuffer(raw, dtype=dtype)[0]


def _named(function: Callable, module: str, name: str) -> Callable:
    """A copy of a function that torch's allow-list takes for ``module.name``."""
    copy = types.FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    copy.__module__, copy.__qualname__ = module, name
    return copy


def _empty_bytes() -> bytes:
    return b''


def _posix_path(*parts: str) -> PurePosixPath:
    return PurePosixPath(*parts)


def _windows_path(*parts: str) -> PureWindowsPath:
    return PureWindowsPath(*parts)


def _allowed() -> list[Callable]:
    allowed: list[Callable] = [argparse.Namespace, HistoryBuffer, np.ndarray, np.dtype, slice]
    allowed += {type(np.dtype(code)) for code in '?bBhHiIlLqQefdgFDUS'}
    allowed.append(_named(_history_method, 'builtins', 'getattr'))
    allowed.append(_named(_empty_bytes, 'builtins', 'bytes'))
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed.append(_named(_numpy_reconstruct, module, '_reconstruct'))
        allowed.append(_named(_numpy_scalar, module, 'scalar'))
    for module in ('pathlib', 'pathlib._local'):
        allowed.append(_named(_posix_path, module, 'PosixPath'))
        allowed.append(_named(_windows_path, module, 'WindowsPath'))
    return allowed


_ALLOWED = _allowed()


def other_globals(path: Path) -> list[str]:
    """Names in a pickle that are neither on this list nor torch's own, for pickles that torch gives no name for."""
    names: list[str] = []
    with suppress(Exception):  # a forged pickle, or what follows one; names that were found stay
        names.extend(_globals(_pickled(path)))
    allowed = {f'{known.__module__}.{known.__qualname__}' for known in _ALLOWED}
    return [name for name in dict.fromkeys(names) if name not in allowed and not name.startswith(_OF_TORCH)][:4]


def _pickled(path: Path) -> io.BytesIO:
    if not zipfile.is_zipfile(path):
        return io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read(next(name for name in archive.namelist() if name.endswith('data.pkl'))))


def _globals(stream: io.BytesIO) -> Iterator[str]:
    """Names of functions and classes in the pickles of a stream, which are several in an older checkpoint."""
    strings: list[str] = []
    while True:
        for code, argument, _ in pickletools.genops(stream):
            if code.name == 'GLOBAL':
                yield argument.replace(' ', '.')
            elif code.name == 'STACK_GLOBAL':  # its module and name are the last two strings
                yield '.'.join(strings[-2:])
            elif isinstance(argument, str):
                strings.append(argument)


@contextmanager
def safe_globals() -> Iterator[None]:
    """Let ``torch.load(weights_only=True)`` accept the types of this module, and nothing longer than needed."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(_ALLOWED)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
