"""What a file is, told before anything of it is unpickled, and the sentences for what is no checkpoint."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from mim_plugin.errors import CheckpointError

__all__ = ['check_archive', 'check_claims', 'check_whole', 'damaged', 'first_bytes', 'is_safetensors']

# Torch does not compress what it saves, and numbers of a trained network hardly compress.
_MOST_EXPANSION = 50
_SMALL = 1 << 28  # bytes; repeated numbers, as in a buffer that was expanded, may claim so much
# A pickle that torch.save wrote without a zip archive begins with this number.
_TORCH_STREAM = b'\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
# Beginnings of other files that people take for checkpoints, and the remedy.
_OTHERS = {
    b'\x1f\x8b': 'is compressed with gzip; unpack it and name the checkpoint inside',
    b'BZh': 'is compressed with bzip2; unpack it and name the checkpoint inside',
    b'\xfd7zXZ': 'is compressed with xz; unpack it and name the checkpoint inside',
    b'\x89PNG': 'is a picture, not a checkpoint; check the path',
    b'\xff\xd8\xff': 'is a picture, not a checkpoint; check the path',
    b'\x93NUMPY': 'is an array of NumPy, not a checkpoint; check the path',
    b'\x89HDF': 'is an HDF5 file, as Keras writes it; convert it to a state dict of torch first',
}


def first_bytes(path: Path) -> bytes:
    """The start of a file, after what can be told without reading more.

    Raises:
        CheckpointError: It is missing, empty, or begins as no checkpoint does.
    """
    if path.is_dir():
        raise CheckpointError(f'{path} is a folder; name the checkpoint file in it.')
    if path.exists() and not path.is_file():  # to read a pipe would not end
        raise CheckpointError(f'{path} is a pipe or a device, not a file; name the checkpoint file.')
    try:
        with path.open('rb') as file:
            start = file.read(512)
    except FileNotFoundError:
        raise CheckpointError(f'Checkpoint {path} does not exist; check the path.') from None
    except OSError as error:
        raise CheckpointError(f'Checkpoint {path} cannot be read ({error.strerror}); check its permissions.') from error
    if not start:
        raise CheckpointError(f'Checkpoint {path} is empty (0 bytes); download or save it again.')
    if is_safetensors(start):
        return start
    _refuse_text(path, start)
    for beginning, what in _OTHERS.items():
        if start.startswith(beginning):
            raise CheckpointError(f'{path} {what}.')
    if start[257:262] == b'ustar':
        raise _tar(path)
    if not start.startswith((b'PK', b'\x80')):  # a zip archive or a pickle
        raise damaged(path)
    return start


def check_whole(path: Path) -> None:
    """Raise a CheckpointError if a file is no checkpoint, or one whose end is missing, as far as its form tells."""
    start = first_bytes(path)
    if is_safetensors(start):
        try:
            with safe_open(path, framework='pt'):
                return
        except SafetensorError as error:
            raise damaged(path) from error
    if start.startswith(b'PK') and not zipfile.is_zipfile(path):
        raise damaged(path)


def is_safetensors(start: bytes) -> bool:
    """Eight bytes of length, then a JSON object."""
    return len(start) > 8 and start[8:9] == b'{' and int.from_bytes(start[:8], 'little') < 1 << 32


def _refuse_text(path: Path, start: bytes) -> None:
    try:
        text = start.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # a letter may be cut at the end
            return
        text = start[: error.start].decode('utf-8-sig')
    if not all(letter.isprintable() or letter.isspace() for letter in text):
        return
    if text.lstrip().startswith('<'):
        raise CheckpointError(
            f'{path} is a web page, not a checkpoint: the download was answered with an error page; '
            'open the address in a browser to see why, then download the file again.'
        )
    if text.lstrip().startswith('version https://git-lfs'):
        raise CheckpointError(f'{path} is a Git LFS pointer, not the checkpoint itself; run `git lfs pull`.')
    if len(text) < 8:  # the beginning of anything
        raise damaged(path)
    raise CheckpointError(
        f'{path} is a text file that starts with {text[:40]!r}, not a checkpoint; '
        'check that the download stored the file itself and not its log.'
    )


def check_archive(path: Path, start: bytes) -> None:
    """Look at the table of a zip archive, or at the head of a pickle, for what torch does not read.

    Args:
        path: The file.
        start: Its :func:`first_bytes`.

    Raises:
        CheckpointError: It is damaged, holds a program or no pickle of torch, or next to nothing that unpacks to a lot.
    """
    if not start.startswith(b'PK'):
        if tarfile.is_tarfile(path):  # before torch 2.6 its safe reader was none for these (CVE-2025-32434)
            raise _tar(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # noqa: BLE001  of a forged table of contents several types come
        raise damaged(path) from error
    names = {entry.filename.rpartition('/')[2] for entry in entries}
    if 'constants.pkl' in names:
        raise CheckpointError(f'{path} is a TorchScript program, not a checkpoint; save its state_dict() instead.')
    if 'data.pkl' not in names:
        raise CheckpointError(
            f'{path} is a zip archive that torch did not write (it holds {", ".join(sorted(names)[:3])}); '
            'unpack it and name the checkpoint inside, or check the path.'
        )
    size, unpacked = path.stat().st_size, sum(entry.file_size for entry in entries)
    if unpacked > _MOST_EXPANSION * size:
        raise CheckpointError(
            f'{path} ({size:,} bytes) would unpack to {unpacked:,} bytes, as no weights do; '
            'do not use it, and download the file again from where it was published.'
        )


def _tar(path: Path) -> CheckpointError:
    return CheckpointError(
        f'{path} is a tar archive: unpack it and name the checkpoint inside; '
        'if a torch before 0.2 saved it, save it anew.'
    )


def check_claims(path: Path, content: Any) -> None:
    """Raise a CheckpointError if a few stored numbers claim to be tensors that would fill the memory when copied."""
    size = path.stat().st_size
    limit, claimed, seen, left = max(_MOST_EXPANSION * size, _SMALL), 0, set(), [content]
    while left:
        value = left.pop()
        if isinstance(value, Tensor):
            claimed += value.numel() * value.element_size()
        elif isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            left += value.values() if isinstance(value, Mapping) else value
        if claimed > limit:
            raise CheckpointError(
                f'{path} ({size:,} bytes) claims to hold tensors of {claimed:,} bytes or more; '
                'do not use it, and download the file again from where it was published.'
            )


def damaged(path: Path) -> CheckpointError:
    """The error for a file that no reader makes sense of."""
    with path.open('rb') as file:
        start = file.read(32)
    if start.startswith(b'\x80') and len(start) == 32 and _TORCH_STREAM not in start:
        return CheckpointError(
            f'{path} is a pickle that torch.save did not write, or its beginning was overwritten; '
            'load it where it was made and save its state dict by torch.save.'
        )
    return CheckpointError(
        f'{path} ({path.stat().st_size:,} bytes) is damaged, incomplete or not a checkpoint; '
        'compare its size with the original and copy or download it again.'
    )
