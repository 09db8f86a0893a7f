"""Writing graphs to files, and running what was written."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from mim_plugin.errors import ConfigError

__all__ = ['DEFAULT_OPSET', 'check_target', 'load_graph', 'save_graph']

DEFAULT_OPSET = 18
_NEEDED = ('onnx', 'onnxscript', 'onnxruntime')

Run = Callable[[Tensor], Sequence[Tensor]]


def check_target(path: str | os.PathLike, opset: int | None) -> None:
    """Raise a ConfigError if a file of this name cannot be written here; before anything is computed."""
    path = Path(path)
    suffix = path.suffix
    if suffix not in ('.onnx', '.pt2'):
        raise ConfigError(f'{path} ends with neither .onnx (ONNX) nor .pt2 (torch.export); name the file accordingly.')
    if suffix == '.pt2' and opset is not None:
        raise ConfigError(f'--opset {opset} is for ONNX, but {path} is a program of torch.export; leave it out.')
    if suffix == '.onnx' and opset is not None and opset < DEFAULT_OPSET:
        raise ConfigError(f'--opset {opset} is older than {DEFAULT_OPSET}, which the exporter needs; take a newer one.')
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if suffix == '.onnx' and missing:
        raise ConfigError(
            f'{path} needs {", ".join(missing)}, which is not installed: pip install -c constraints.txt -e ".[export]" '
            '(or bash tools/setup.sh --extra export; without it .pt2 works).'
        )
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f'{path} cannot be written; name a file in a folder where you may write.')


def save_graph(
    program: torch.export.ExportedProgram,
    path: str | os.PathLike,
    axes: dict[int, str],
    output_names: Sequence[str],
    opset: int | None,
    check: Callable[[Path], float],
) -> float:
    """Write a program as ONNX or as torch does, by the ending of the name; whole and checked, or not at all.

    Args:
        program: The traced graph of one input, ``images``.
        path: The file. Weights of more than 2 GB go into a second one beside an ONNX file, named ``*.data``.
        axes: Names of the input's dynamic axes.
        output_names: One a result.
        opset: Version of ONNX's operators; None: 18.
        check: Is given the written file before it gets its place; what it raises keeps it from there.

    Returns:
        What ``check`` returned.

    Raises:
        ConfigError: The file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix='.export_') as folder:
            unfinished = Path(folder, path.name)
            with _quiet():
                _write(program, unfinished, axes, output_names, opset or DEFAULT_OPSET)
            checked = check(unfinished)
            for file in sorted(Path(folder).iterdir(), reverse=True):  # weights before the graph that names them
                shutil.move(str(file), str(path.parent / file.name))
    except OSError as error:
        raise ConfigError(f'{path} cannot be written ({error}); name a file where there is room.') from error
    return checked


def _write(
    program: torch.export.ExportedProgram, path: Path, axes: dict[int, str], output_names: Sequence[str], opset: int
) -> None:
    if path.suffix == '.pt2':
        torch.export.save(program, str(path))
        return
    torch.onnx.export(
        program,
        dynamo=True,
        dynamic_shapes=(axes,),
        input_names=['images'],
        output_names=list(output_names),
        opset_version=opset,
        verbose=False,
    ).save(str(path))


def load_graph(path: str | os.PathLike) -> Run:
    """What a written graph computes: a function from images to its results."""
    if Path(path).suffix == '.pt2':
        with _quiet():
            module = torch.export.load(str(path)).module()
        return lambda images: tuple(module(images))
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda images: tuple(torch.from_numpy(x) for x in session.run(None, {'images': images.numpy()}))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch tells its own developers while it exports."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'torch.export', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
