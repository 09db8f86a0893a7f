"""Making a training checkpoint ready to be given to others."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mim_plugin.checkpoints.download import hash_in_name, sha256_of
from mim_plugin.checkpoints.export import unfinished_file
from mim_plugin.checkpoints.read import META_KEY, read_checkpoint
from mim_plugin.errors import CheckpointError

__all__ = ['Published', 'publish_checkpoint']

# Where weights lie: mmengine's checkpoints and ours; BEiT's and DeiT's; iBOT's and DINO's, with their centres.
_WEIGHTS = ('state_dict', 'model', 'student', 'teacher', 'ibot_loss', 'dino_loss')


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        path: The new file.
        kept: Entries of the checkpoint that it holds.
        left_out: Entries that it does not hold.
    """

    path: Path
    kept: tuple[str, ...]
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        left_out = ', '.join(self.left_out) or 'nothing'
        return f'{self.path} ({self.path.stat().st_size:,} bytes): {", ".join(self.kept)}; left out: {left_out}'


def publish_checkpoint(src: str | os.PathLike, dst: str | os.PathLike | None = None) -> Published:
    """Write the weights and ``meta`` of a checkpoint, under a name that ends in the file's hash.

    The optimizer, schedulers, counters and logs that only a training needs are left out. Names, numbers and ``meta``
    stay as they are; ``meta`` holds the config of the run, with the paths in it. As in OpenMMLab the name ends in the
    first 8 hex digits of the SHA-256, which :func:`mim_plugin.get_model`, ``init_cfg`` and ``load_from`` check after a
    download.

    Args:
        src: Checkpoint, ``.pth`` or ``.safetensors``.
        dst: ``FOLDER/NAME.pth`` or ``FOLDER/NAME.safetensors``, written as ``NAME-<hash>``; by default beside ``src``.

    Returns:
        The file, and what it holds.

    Raises:
        CheckpointError: ``src`` cannot be read or holds no weights, or ``dst`` cannot hold them.
    """
    src = Path(src).expanduser()
    checkpoint = read_checkpoint(src)
    if checkpoint and all(isinstance(value, Tensor) for value in checkpoint.values()):
        checkpoint = {'state_dict': checkpoint}
    content = _content(checkpoint, src)
    dst = Path(dst).expanduser() if dst is not None else src.with_name(_stem(src) + src.suffix)
    if dst.suffix not in ('.pth', '.safetensors'):
        raise CheckpointError(f'{dst} must end in .pth or .safetensors; the ending says what is written.')
    with unfinished_file(dst) as unfinished:
        if dst.suffix == '.pth':
            torch.save(content, unfinished)
        else:
            _save_safetensors(content, unfinished, src)
        final = dst.with_name(f'{dst.stem}-{sha256_of(unfinished)[:8]}{dst.suffix}')
        unfinished.replace(final)
    return Published(final, tuple(content), tuple(sorted(map(str, checkpoint.keys() - content.keys()))))


def _content(checkpoint: Mapping[str, Any], src: Path) -> dict[str, Any]:
    """The entries to keep."""
    networks = {key: _compact(checkpoint[key]) for key in _WEIGHTS if isinstance(checkpoint.get(key), Mapping)}
    if not any(networks.values()):
        raise CheckpointError(f'{src} has no weights, only {sorted(map(str, checkpoint))[:8]}; name a checkpoint.')
    return networks | ({'meta': checkpoint['meta']} if 'meta' in checkpoint else {})


def _compact(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors on the CPU without what else lies in their memory; those that share it all go on doing so."""
    tensors = {name: value.detach().cpu() for name, value in state.items() if isinstance(value, Tensor)}
    whole = {name: value.untyped_storage().nbytes() == value.nbytes for name, value in tensors.items()}
    return {name: value if whole[name] else value.clone() for name, value in tensors.items()}


def _save_safetensors(content: Mapping[str, Any], path: Path, src: Path) -> None:
    networks = [key for key in content if key != 'meta']
    if len(networks) > 1:
        raise CheckpointError(
            f'{src} holds {", ".join(networks)}, of which a .safetensors file takes one; publish it as .pth.'
        )
    meta = content.get('meta') or {}
    table = {str(key): value for key, value in meta.items() if isinstance(value, str)}
    others = {str(key): value for key, value in meta.items() if not isinstance(value, str)}
    if others:
        table[META_KEY] = json.dumps(others, default=_plain)
    tensors = {name: value.contiguous().clone() for name, value in content[networks[0]].items()}
    save_file(tensors, path, {'format': 'pt'} | table)


def _stem(src: Path) -> str:
    """Name without a hash of the file that it no longer fits."""
    found = hash_in_name(src.name)
    is_hash = found is not None and sha256_of(src).startswith(found[:16])
    return src.stem.removesuffix(f'-{found}') if is_hash else src.stem


def _plain(value: Any) -> Any:
    """What JSON has no form for: arrays as lists, anything else as its text."""
    return value.tolist() if hasattr(value, 'tolist') else str(value)
