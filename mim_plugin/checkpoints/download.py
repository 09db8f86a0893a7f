"""Files from the web: where they are kept, and whether they are what was published."""

from __future__ import annotations

import hashlib
import os
import re
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch
from mmengine.dist import barrier

from mim_plugin.checkpoints.kinds import check_whole
from mim_plugin.errors import CheckpointError

__all__ = ['check_hash', 'download', 'hash_in_name', 'sha256_of']

# Eight digits may also be a date, which is none.
_HASH = re.compile(r'-(?!(?:19|20)\d\d[01]\d[0-3]\d\.)([0-9a-f]{8,64})\.(?:pth|pt|safetensors)$')


def download(address: str, folder: str | os.PathLike | None = None, progress: bool = True) -> Path:
    """Fetch a file once; the next call finds it.

    A file whose name ends in its hash, as OpenMMLab's do, lies in the folder itself, where other packages find it too.
    Any other lies under the host and path of its address: iBOT's files, for one, all have the same name.

    Args:
        address: ``http(s)://`` or ``file://``.
        folder: Where it is kept; by default ``checkpoints`` in torch's cache folder.
        progress: Show a bar.

    Returns:
        The local file.

    Raises:
        CheckpointError: There is no answer, or the file is no checkpoint, cut short, or not the one that its name
            promises.
    """
    folder = Path(folder or os.path.join(torch.hub.get_dir(), 'checkpoints'))
    parts = urlsplit(address)
    inner = [part for part in unquote(parts.path).split('/') if part not in ('', '.', '..')]
    if not inner:
        raise CheckpointError(f'{address} names no file; give the address of a checkpoint.')
    target = folder / inner[-1] if hash_in_name(inner[-1]) else folder.joinpath(parts.netloc or 'local', *inner)
    # One process of each machine, because machines need not share the folder.
    if os.environ.get('LOCAL_RANK', '0') == '0' and not target.exists():
        _fetch(address, target, progress)
    barrier()
    check_hash(target)
    return target


def _fetch(address: str, target: Path, progress: bool) -> None:
    """Download a file; an error page, or a file that was cut short, does not stay."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(target), progress=progress)
        check_whole(target)
    except (OSError, HTTPException) as error:
        raise CheckpointError(
            f'{address} could not be downloaded ({error}); download it by hand and name the file.'
        ) from error
    except CheckpointError as error:
        target.unlink()
        raise CheckpointError(f'What {address} gave was not kept: {error}') from error


def hash_in_name(name: str | os.PathLike) -> str | None:
    """The beginning of a file's SHA-256 that its name ends in (``NAME-0a1b2c3d.pth``), if it does."""
    found = _HASH.search(os.fspath(name))
    return found and found[1]


def check_hash(path: str | os.PathLike, expected: str | None = None) -> None:
    """Raise a CheckpointError if a file's SHA-256 does not begin as ``expected``, or as its name says."""
    says, expected = ('the list of models', expected) if expected else ('its name', hash_in_name(path))
    if expected is None:
        return
    actual = _digest(path)
    if not actual.startswith(expected):
        raise CheckpointError(
            f'{path} is not the file that was published: its SHA-256 begins with {actual[: len(expected)]}, '
            f'{says} says {expected}; delete it and download or install it again, or give a file of your own '
            'another name.'
        )


def sha256_of(path: str | os.PathLike) -> str:
    """The first 16 hex digits of a file's SHA-256, whose first 8 stand in the names of published files."""
    return _digest(path)[:16]


def _digest(path: str | os.PathLike) -> str:
    digest = hashlib.sha256()
    with Path(path).expanduser().open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
