"""Reading checkpoint files without running what is inside them."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.parse import unquote, urlsplit

import mmengine.runner.checkpoint as mmengine_checkpoint
import torch
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import SafetensorError, safe_open

from mim_plugin.checkpoints.allow_list import other_globals, safe_globals
from mim_plugin.checkpoints.download import check_hash, download, sha256_of
from mim_plugin.checkpoints.hook import with_note
from mim_plugin.checkpoints.kinds import check_archive, check_claims, damaged, first_bytes, is_safetensors
from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.version import __version__

__all__ = [
    'META_KEY',
    'READER_VARIABLE',
    'UNSAFE_VARIABLE',
    'read_checkpoint',
    'sha256_of',
    'use_reader',
]

# Reaches the reader where no argument does: `load_from` and `resume` of a config.
UNSAFE_VARIABLE = 'MIM_PLUGIN_ALLOW_UNSAFE_CHECKPOINTS'
# Who reads for mmengine, 'mim_plugin' or 'mmengine': the way back, see docs/loading.md.
READER_VARIABLE = 'MIM_PLUGIN_READER'
# Key of a .safetensors file's table of strings under which what is no string lies as JSON.
META_KEY = 'mim_plugin.meta'


def read_checkpoint(path: str | os.PathLike, allow_unsafe: bool = False, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a ``.pth`` or ``.safetensors`` file, or a folder of Hugging Face.

    A pickle is read with torch's restricted unpickler and an allow-list of harmless
    types that checkpoints of OpenMMLab, iBOT and BEiT contain (``argparse.Namespace``,
    numpy numbers and arrays, ``HistoryBuffer``, paths). Anything else is refused.

    Args:
        path: File or folder; ``~`` is expanded.
        allow_unsafe: Unpickle anything, which runs code that the file may hold. Also
            on when the environment variable ``MIM_PLUGIN_ALLOW_UNSAFE_CHECKPOINTS`` is 1.
        map_location: Device of the tensors, as in ``torch.load``.

    Returns:
        The dict in the file. A ``.safetensors`` file gives ``state_dict`` and ``meta``,
        its table of strings.

    Raises:
        CheckpointError: The file is missing, damaged, not a checkpoint, or refused.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        from mim_plugin.checkpoints.formats.registry import format_of_folder  # the formats read through this module

        return format_of_folder(path).load(path)
    start = first_bytes(path)
    if is_safetensors(start):
        return _read_safetensors(path, map_location)
    check_archive(path, start)
    allow_unsafe = allow_unsafe or os.environ.get(UNSAFE_VARIABLE) == '1'
    checkpoint = _unpickle(path, allow_unsafe, map_location)
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{path} holds an object of type {type(checkpoint).__name__}, not a dict of tensors; '
            'save the state_dict() of the model and load that.'
        )
    check_claims(path, checkpoint)
    return checkpoint


def _read_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    device = str(map_location) if isinstance(map_location, (str, torch.device)) else 'cpu'
    try:
        with safe_open(path, framework='pt', device=device) as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = file.metadata() or {}
    except SafetensorError as error:
        raise damaged(path) from error
    try:
        meta |= json.loads(meta.pop(META_KEY, '{}'))
    except (TypeError, ValueError) as error:
        raise damaged(path) from error
    return {'state_dict': state, 'meta': meta}


def _unpickle(path: Path, allow_unsafe: bool, map_location: Any) -> Any:
    try:
        if allow_unsafe:
            return torch.load(path, map_location=map_location, weights_only=False)
        with safe_globals(), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # that it may not understand a pickle is said below, if so
            return torch.load(path, map_location=map_location, weights_only=True)
    except UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except MemoryError as error:
        raise CheckpointError(
            f'{path} ({path.stat().st_size:,} bytes) asks for more memory than there is; '
            'use a machine with more, or download the file again from where it was published.'
        ) from error
    except Exception as error:
        # A dozen types come out of torch for cut or overwritten files, depending on where the damage is.
        if 'CUDA' in str(error):
            raise
        raise damaged(path) from error


def _refusal(path: Path, message: str) -> CheckpointError:
    """What torch's restricted unpickler did not take, with its name."""
    found = re.search(r'GLOBAL (\S+)', message) or re.search(r"Can only \w+ [^<]*<class '([\w.]+)'>", message)
    if found is None and not re.search(r'Trying to|Can only|operand', message):
        return damaged(path)
    names = found[1] if found else ', '.join(other_globals(path))
    if not names:
        return CheckpointError(
            f'{path} is pickled in a way (protocol) that torch does not read safely; save it anew with the default '
            f'protocol, or if you trust where it comes from, read it with allow_unsafe=True or {UNSAFE_VARIABLE}=1.'
        )
    return CheckpointError(
        f'{path} asks for {names}, which could run code, and was not loaded; if you trust where the file comes from, '
        f'read it with allow_unsafe=True (convert.py: --allow-unsafe) or set {UNSAFE_VARIABLE}=1.'
    )


def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Local files for mmengine: ``load_from``, ``resume`` and ``init_cfg`` of any model."""
    path = Path(local_path(filename)).expanduser()
    if path.is_file():
        check_hash(path)
    return _read_and_log(path, map_location)


def load_from_http(
    filename: str, map_location: Any = None, model_dir: str | None = None, progress: bool = True
) -> dict[str, Any]:
    """Files from the web for mmengine, kept in torch's cache folder."""
    return _read_and_log(download(filename, model_dir, progress), map_location)


def _read_and_log(path: str | os.PathLike, map_location: Any) -> dict[str, Any]:
    """Read a file and name it in the run's log, so that a result can be traced to its weights."""
    checkpoint = read_checkpoint(path, map_location=map_location)
    if is_main_process():
        # The file was read just now, so the hash costs no second trip to the disk.
        what = 'a folder' if Path(path).expanduser().is_dir() else f'sha256 {sha256_of(path)}'
        print_log(f'Checkpoint {path}: {what}, read by mim_plugin {__version__}', logger='current')
    return with_note(checkpoint, path)


def local_path(name: str) -> str:
    """A path, out of a ``file://`` address or as it is."""
    return unquote(urlsplit(name).path) if name.startswith('file://') else name


def use_reader(whose: str = 'mim_plugin') -> None:
    """Choose who reads the files that mmengine is asked for in this process.

    Args:
        whose: 'mim_plugin': this module, for ``load_from``, ``resume`` and ``init_cfg`` of every model. 'mmengine':
            its own readers, and backbones of ours take from its ``load_from`` what has their names, as any module does.

    Raises:
        ConfigError: Another name.
    """
    if whose not in ('mim_plugin', 'mmengine'):
        raise ConfigError(f'{whose!r} reads no checkpoints; use mim_plugin or mmengine ({READER_VARIABLE}).')
    local, web = (load_from_local, load_from_http)
    if whose == 'mmengine':
        local, web = mmengine_checkpoint.load_from_local, mmengine_checkpoint.load_from_http
    CheckpointLoader.register_scheme('', local, force=True)
    CheckpointLoader.register_scheme(['http://', 'https://'], web, force=True)


def _follow_environment() -> None:
    """The reader that the variable names. A wrong name is an error when a file is read, not where this is imported."""
    whose = os.environ.get(READER_VARIABLE) or 'mim_plugin'
    try:
        use_reader(whose)
    except ConfigError:
        CheckpointLoader.register_scheme(['', 'http://', 'https://'], lambda *_, **__: use_reader(whose), force=True)


_follow_environment()
