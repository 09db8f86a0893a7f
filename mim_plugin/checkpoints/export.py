"""Writing a small file with one network out of a training checkpoint, for us or for a toolbox's own classes."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mim_plugin.checkpoints.contents import Contents, contents_of
from mim_plugin.checkpoints.formats.toolboxes import to_toolbox
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import CheckpointError
from mim_plugin.version import __version__

__all__ = ['export_for_toolbox', 'export_pretrained', 'model_config_of', 'unfinished_file', 'write_state']

PARTS = ('backbone', 'head', 'loss')


def export_pretrained(
    algorithm_checkpoint: str | os.PathLike | Mapping[str, Any],
    dst: str | os.PathLike,
    dtype: torch.dtype = torch.float16,
    parts: Sequence[str] = PARTS,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write the teacher of a training checkpoint as ``.safetensors``.

    The file serves a downstream backbone (``init_cfg=dict(type='Pretrained', ...)``) and a
    pretraining that goes on from it, see :func:`mim_plugin.checkpoints.load_pretrained`.
    Its table of strings holds ``format``, ``version``, ``network`` and ``config`` (JSON).

    Args:
        algorithm_checkpoint: Training checkpoint of ours, or an official one: file or its dict.
        dst: File to write, ending in ``.safetensors``.
        dtype: Type of the numbers in the file.
        parts: Some of 'backbone' (with the student's mask token), 'head' and 'loss' (centres).
        config: Stored with the file; by default the ``model`` of the checkpoint's own config.

    Returns:
        ``dst`` as a path.

    Raises:
        CheckpointError: Unknown part, another file ending, or nothing to write.
    """
    dst = Path(dst).expanduser()
    if dst.suffix != '.safetensors':
        raise CheckpointError(f'An exported file ends in .safetensors, not {dst.suffix!r}; rename {dst}.')
    if unknown := set(parts) - set(PARTS):
        raise CheckpointError(f'parts names {sorted(unknown)}; choose from {PARTS}.')
    checkpoint = algorithm_checkpoint
    if not isinstance(checkpoint, Mapping):
        checkpoint = read_checkpoint(checkpoint)
    state = _selected(contents_of(checkpoint), parts)
    if not state:
        raise CheckpointError(f'The checkpoint has no {" or ".join(parts)} to export.')
    if config is None:
        config = model_config_of(checkpoint)
    tensors = {name: _compact(state[name], dtype) for name in sorted(state)}
    metadata = {'format': 'mim_plugin', 'version': __version__, 'network': 'teacher', 'config': json.dumps(config)}
    return write_state({'state_dict': tensors}, dst, metadata)


def export_for_toolbox(
    checkpoint: str | os.PathLike | Mapping[str, Any], dst: str | os.PathLike, toolbox: str, part: str = 'teacher'
) -> Path:
    """Write the backbone of a checkpoint for a toolbox's own class, which then needs nothing of this package.

    Which class it fits: :func:`mim_plugin.checkpoints.formats.toolboxes.to_toolbox`. The file is read by
    ``init_cfg=dict(type='Pretrained', checkpoint=FILE)`` of mmpretrain's, mmseg's and mmdet's backbones, and by
    timm's ``create_model(..., num_classes=0, checkpoint_path=FILE)``.

    Args:
        checkpoint: Any that :func:`mim_plugin.checkpoints.load_pretrained` knows: file or its dict.
        dst: File to write, ending in ``.pth``.
        toolbox: 'mmpretrain', 'mmseg', 'mmdet' or 'timm'.
        part: 'teacher' or 'student': which network of a pair.

    Returns:
        ``dst`` as a path.

    Raises:
        CheckpointError: Another file ending, no backbone in the file, or no class of the toolbox for it.
    """
    dst = Path(dst).expanduser()
    if dst.suffix != '.pth':
        raise CheckpointError(f'A file for a toolbox ends in .pth, not {dst.suffix!r}; rename {dst}.')
    if part not in ('teacher', 'student'):
        raise CheckpointError(f"part={part!r} is unknown; use 'teacher' or 'student'.")
    network = getattr(contents_of(checkpoint if isinstance(checkpoint, Mapping) else read_checkpoint(checkpoint)), part)
    backbone = {n.removeprefix('backbone.'): value for n, value in network.items() if n.startswith('backbone.')}
    if not backbone:
        raise CheckpointError('The checkpoint has no backbone to export.')
    state = {name: _compact(value, torch.float32) for name, value in to_toolbox(backbone, toolbox).items()}
    return write_state({'state_dict': state}, dst, {'format': toolbox, 'mim_plugin': __version__})


def write_state(checkpoint: Mapping[str, Any], dst: str | os.PathLike, meta: Mapping[str, str]) -> Path:
    """Write a checkpoint with a table of strings; a file that is cut short never has the final name.

    Args:
        checkpoint: What a ``.pth`` file holds. A ``.safetensors`` file takes the flat ``state_dict`` alone.
        dst: Ends in ``.pth`` or ``.safetensors``; folders are made.
        meta: Stored as ``meta``.

    Returns:
        ``dst`` as a path.

    Raises:
        CheckpointError: Another ending, a ``.safetensors`` file for more than one flat dict of tensors, or a place
            where nothing can be written.
    """
    dst = Path(dst).expanduser()
    if dst.suffix not in ('.pth', '.pt', '.safetensors'):
        raise CheckpointError(f'A checkpoint ends in .pth or .safetensors, not {dst.suffix!r}; rename {dst}.')
    if dst.suffix == '.safetensors' and set(checkpoint) != {'state_dict'}:
        raise CheckpointError(
            f'A .safetensors file holds tensors alone, not {sorted(set(checkpoint) - {"state_dict"})}; '
            f'name {dst.with_suffix(".pth").name} instead.'
        )
    with unfinished_file(dst) as unfinished:
        if dst.suffix == '.safetensors':
            save_file(dict(checkpoint['state_dict']), unfinished, dict(meta))
        else:
            torch.save({**checkpoint, 'meta': dict(meta)}, unfinished)
        unfinished.replace(dst)
    return dst


@contextmanager
def unfinished_file(dst: Path) -> Iterator[Path]:
    """A name to write to, beside ``dst``, whose folder is made; nothing stays of what was not renamed in the end.

    Raises:
        CheckpointError: It cannot be written.
    """
    unfinished = dst.with_name(dst.name + '.tmp')
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
    except (OSError, RuntimeError, SafetensorError) as error:  # torch tells of a full disk by a RuntimeError
        raise CheckpointError(
            f'{dst} cannot be written ({error}); name a file in a folder where you may write and where there is room.'
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def model_config_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The ``model`` of the config that mmengine stored with a checkpoint, or an empty dict.

    The text is read as data: names of types, numbers, strings, lists and dicts. Nothing is run.
    """
    text = (checkpoint.get('meta') or {}).get('cfg')
    if not isinstance(text, str):
        return {}
    try:
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], 'id', None) == 'model':
                return {'model': _literal(statement.value)}
    except (SyntaxError, ValueError):
        pass
    return {}


def _literal(node: ast.expr) -> Any:
    """Value of an expression of literals and ``dict(...)``."""
    if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict' and not node.args:
        return {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {ast.literal_eval(key): _literal(value) for key, value in zip(node.keys, node.values)}
    return ast.literal_eval(node)


def _selected(contents: Contents, parts: Sequence[str]) -> dict[str, Tensor]:
    networks = tuple(f'{part}.' for part in parts if part != 'loss')
    state = {name: value for name, value in contents.teacher.items() if name.startswith(networks or '\0')}
    mask_token = contents.student.get('backbone.mask_token')
    if 'backbone' in parts and mask_token is not None:
        state['backbone.mask_token'] = mask_token
    if 'loss' in parts:
        state |= {f'loss_module.{name}': value for name, value in contents.loss.items()}
    return state


def _compact(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of its own, because safetensors refuses tensors that share memory."""
    value = value.detach().cpu()
    return value.to(dtype if value.is_floating_point() else value.dtype).contiguous().clone()
