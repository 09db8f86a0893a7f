"""Converting a checkpoint from the names of one family to those of another, with every tensor accounted for."""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.contents import flat
from mim_plugin.checkpoints.download import check_hash
from mim_plugin.checkpoints.export import write_state
from mim_plugin.checkpoints.formats.base import Applied, Change, Format, Rule, Step, apply_rules
from mim_plugin.checkpoints.formats.registry import by_name, format_of, format_of_folder
from mim_plugin.checkpoints.formats.traits import TABLE, backbone_config, below, build_backbone, has, is_swin
from mim_plugin.checkpoints.geometry import Geometry, learned_positions
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.checkpoints.report import ConversionReport, rows_of
from mim_plugin.checkpoints.settings import told_grid, with_told_settings
from mim_plugin.checkpoints.verify import verified
from mim_plugin.errors import CheckpointError
from mim_plugin.version import __version__

__all__ = ['convert', 'convert_state']

State = dict[str, Tensor]


@dataclass
class Converted:
    """A conversion before it is written.

    Attributes:
        state: The target's names.
        ours: The names between.
        config: Settings of our backbone with the same architecture; empty without a backbone.
        report: What was done.
        source_format: Family of the source.
        target_format: Family of the target.
    """

    state: State
    ours: State
    config: dict[str, Any]
    report: ConversionReport
    source_format: Format
    target_format: Format


def convert(
    src: str | os.PathLike,
    dst: str | os.PathLike,
    from_format: str | None = None,
    to_format: str = 'mim_plugin',
    report: str | os.PathLike | None = None,
    allow_missing: Sequence[str] = (),
    allow_unused: Sequence[str] = (),
    part: str | None = None,
    verify: bool = False,
    with_training_state: bool = False,
    allow_unsafe: bool = False,
    geometry: Geometry | None = None,
    num_heads: int | None = None,
) -> ConversionReport:
    """Convert a checkpoint between any two families of :mod:`mim_plugin.checkpoints.formats`.

    Every tensor is used or listed in the report; what would be lost or missing is an error unless a pattern allows it.

    Args:
        src: ``.pth``, ``.safetensors``, or a folder for families that are stored so.
        dst: ``.pth`` or ``.safetensors`` (a folder for such families).
        from_format: Name of the source's family; recognised by names and shapes when None.
        to_format: Name of the target's family.
        report: JSON file for the report.
        allow_missing: Patterns (``*``) of target names that may stay unfilled.
        allow_unused: Patterns of source names (as the report gives them) that may be lost.
        part: 'teacher' or 'student': take one network of a pair and leave the other. Where the target holds one
            network only, it is the teacher; leaving the other then needs ``part`` or ``allow_unused``.
        verify: Before writing, compare outputs of the classes of both families with ours (1e-5 of the largest).
        with_training_state: Carry what the file has besides tensors (optimizer, scaler, epoch, ...), as it is.
        allow_unsafe: See :func:`mim_plugin.checkpoints.read_checkpoint`.
        geometry: Another image size, patch size, window size, number of channels or kind of relative bias.
        num_heads: Heads of attention of a plain transformer; None: as the file says, else heads of 64 channels.

    Returns:
        The report.

    Raises:
        CheckpointError: The file cannot be read, is of no known family, does not make a whole network, the target
            cannot express it, something would be lost or missing, or outputs differ.
    """
    src, dst = Path(src).expanduser(), Path(dst).expanduser()
    if src.resolve() == dst.resolve():
        raise CheckpointError(f'{src} would be overwritten by what it is converted to; name another target.')
    checkpoint = _read(src, from_format, allow_unsafe)
    try:
        converted = convert_state(
            checkpoint, from_format, to_format, allow_missing, allow_unused, part, geometry, num_heads
        )
    except CheckpointError as error:
        raise CheckpointError(f'{src}: {error}') from error
    done = converted.report
    done.source, done.target, done.carried = str(src), str(dst), with_training_state and bool(done.training_state)
    if verify:
        done.verified = verified(converted, flat(checkpoint)[0], part)
    _write(converted, dst, flat(checkpoint)[1] if with_training_state else {})
    if report is not None:
        done.save(report)
    return done


def _read(src: Path, from_format: str | None, allow_unsafe: bool) -> Mapping[str, Any]:
    if src.is_dir():
        return (by_name(from_format) if from_format else format_of_folder(src)).load(src)
    if src.is_file():
        check_hash(src)
    if src.suffix == '.pkl' and not allow_unsafe:  # a whole module, in files of DALL-E
        return by_name('dalle').load(src)
    return read_checkpoint(src, allow_unsafe)


def convert_state(
    checkpoint: Mapping[str, Any],
    from_format: str | None = None,
    to_format: str = 'mim_plugin',
    allow_missing: Sequence[str] = (),
    allow_unused: Sequence[str] = (),
    part: str | None = None,
    geometry: Geometry | None = None,
    num_heads: int | None = None,
) -> Converted:
    """Convert what is in a file; see :func:`convert`."""
    if part not in (None, 'teacher', 'student'):
        raise CheckpointError(f"part={part!r} is unknown; use 'teacher' or 'student'.")
    source, others = flat(checkpoint)
    theirs = by_name(from_format) if from_format else format_of(source)
    target_format = by_name(to_format)
    read = _read_names(theirs, source, allow_unused)
    chosen = _one_network(read.state, part, target_format)
    told = told_grid(checkpoint, chosen.state)
    moved = apply_rules((*(geometry or Geometry()).rules(chosen.state, told), Rule('*', '*')), chosen.state)
    grid = _grid_after(geometry, chosen.state, told) if geometry else told
    config, absent = _completed(moved.state, grid)
    config = with_told_settings(config, checkpoint, num_heads)
    stages = [read.steps, chosen.steps, moved.steps]
    if config.get('pos_embed') == 'sincos' and target_format.name != 'mim_plugin':
        moved = apply_rules(learned_positions(config, moved.state), moved.state)
        stages.append(moved.steps)
    if not target_format.writable:
        raise CheckpointError(f'{target_format.title} are read, not written; choose another --to.')
    if not config and target_format.name != 'mim_plugin':
        raise CheckpointError('there is no backbone in the file, which is what other formats are about.')
    whole = moved.state | absent
    written = apply_rules(target_format.rules(whole, writing=True), whole, writing=True)
    if written.left:
        raise CheckpointError(f'{target_format.title} has no rule for {_listed(written.left)} (our names).')
    made_of = {name: step.sources for step in written.steps for name in step.targets}
    missing = [name for name, sources in made_of.items() if absent.keys() & set(sources)]
    state = {name: value for name, value in written.state.items() if name not in missing}
    steps = [step for step in written.steps if not absent.keys() & set(step.sources)]
    rows = rows_of(stages, steps, source, state)
    report = ConversionReport('', '', theirs.name, target_format.name, rows, missing, sorted(map(str, others)))
    report.geometry = str(geometry or '')
    _check(report, allow_missing, [*allow_unused, *_left_by_choice(part, read.state)])
    return Converted(state, moved.state, config, report, theirs, target_format)


def _read_names(theirs: Format, source: State, allow_unused: Sequence[str]) -> Applied:
    """Our names; what the family does not know is lost, if that is allowed."""
    read = apply_rules(theirs.rules(source), source)
    if unknown := [name for name in read.left if not _allowed(name, allow_unused)]:
        raise CheckpointError(
            f'{theirs.title} knows no {_listed(unknown)}; name another format with --from, or, if the backbone does '
            'without them, allow to lose them with --allow-unused PATTERN.'
        )
    if not read.state:
        raise CheckpointError(f'{theirs.title} knows nothing of the file; name another format with --from.')
    read.steps += [Step((name,), (), f'{theirs.title} knows no such tensor', loses=True) for name in read.left]
    return read


def _one_network(ours: State, part: str | None, target: Format) -> Applied:
    """Take one network of a pair, where the target holds one or the caller wants one."""
    pair = any(name.startswith('tokenizer.') for name in ours)
    if not pair or (part is None and target.holds_pair):
        return apply_rules((Rule('*', '*'),), ours)
    if part == 'student':
        dropped = Rule('tokenizer.*', (), Change('the teacher, left out'), loses=True)
        return apply_rules((dropped, Rule('*', '*')), ours)
    why = Change('of the student, left out; the teacher is taken (--part)')
    mask_token = Rule('backbone.mask_token', 'backbone.mask_token', Change('the student has it, the teacher none'))
    keep_mask_token = (mask_token,) if target.holds_pair else ()
    return apply_rules(
        (Rule('tokenizer.*', '*'), *keep_mask_token, *(Rule(f'{p}.*', (), why, loses=True) for p in _NETWORK),
         Rule('*', '*')), ours,
    )  # fmt: skip


_NETWORK = ('backbone', 'head', 'patch_head')


def _left_by_choice(part: str | None, ours: Mapping[str, Tensor]) -> list[str]:
    """Patterns of what a caller who names a part leaves: the other network and the centres of the pair."""
    if part is None or not any(name.startswith('tokenizer.') for name in ours):
        return []
    other = {'teacher': ['student.*', 'backbone.*', 'head.*', 'patch_head.*'], 'student': ['teacher.*', 'tokenizer.*']}
    return [*other[part], 'loss_module.*', 'ibot_loss.*', 'dino_loss.*']


def _grid_after(geometry: Geometry, ours: State, grid: tuple[int, int] | None) -> tuple[int, int] | None:
    """Rows and columns of patches, which weights of a rectangle do not tell; None where they are not in them."""
    backbone = below(ours, 'backbone.') or below(ours, 'tokenizer.backbone.')
    if not has(backbone, TABLE, 'pos_embed') or is_swin(backbone):
        return None
    return geometry.grid(backbone_config(backbone, grid))


def _completed(ours: State, grid: tuple[int, int] | None = None) -> tuple[dict[str, Any], State]:
    """Settings of the backbone, and zeros for the parameters of such backbones that the state dict lacks.

    Raises:
        CheckpointError: Parameters that no backbone with these settings has, or with other shapes.
    """
    config, absent = {}, {}
    for prefix in ('backbone.', 'tokenizer.backbone.'):
        backbone = below(ours, prefix)
        if not backbone:
            continue
        config = backbone_config(backbone, grid)
        with torch.device('meta'):
            wanted = build_backbone(config).state_dict()
        extra = [name for name in backbone if name not in wanted]
        shapes = [
            f'{prefix}{name} {tuple(value.shape)} instead of {tuple(wanted[name].shape)}'
            for name, value in backbone.items()
            if name in wanted and value.shape != wanted[name].shape
        ]
        if extra or shapes:
            raise CheckpointError(
                f'its backbone is none that we know: {_listed([*(prefix + name for name in extra), *shapes])} '
                f'in a {config["type"]} with arch={config["arch"]}.'
            )
        absent |= {prefix + name: torch.zeros(wanted[name].shape) for name in wanted if name not in backbone}
    return config, absent


def _check(report: ConversionReport, allow_missing: Sequence[str], allow_unused: Sequence[str]) -> None:
    missing = [name for name in report.missing if not _allowed(name, allow_missing)]
    lost = [name for name in report.lost if not _allowed(name, allow_unused)]
    if missing:
        raise CheckpointError(
            f'the target would lack {_listed(missing)}; if that is meant, allow it with --allow-missing PATTERN.'
        )
    if lost:
        rows = [row for row in report.rows if row.state == 'lost' and set(row.source) & set(lost)]
        reasons = dict.fromkeys(row.change for row in rows)
        pair = any(name.startswith(('student.', 'tokenizer.')) for name in lost)
        part = ' or choose a network with --part' if pair else ''
        raise CheckpointError(
            f'converting {report.from_format} to {report.to_format} would lose {_listed(lost)} '
            f'({"; ".join(reasons)}); if that is meant, allow it with --allow-unused PATTERN{part}.'
        )


def _allowed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _listed(names: Sequence[str], limit: int = 8) -> str:
    return ', '.join(names[:limit]) + (f' and {len(names) - limit} more' if len(names) > limit else '')


def _write(converted: Converted, dst: Path, others: Mapping[str, Any]) -> None:
    """Write the target with a table of strings that says how it came about."""
    meta = {
        'format': converted.target_format.name,
        'mim_plugin': __version__,
        'backbone': json.dumps(converted.config),
    }
    # Tensors that share memory, or are parts of larger ones, would be written more than once or refused.
    state = {name: value.detach().clone().contiguous() for name, value in converted.state.items()}
    if not others:
        converted.target_format.save(state, dst, meta)
        return
    if dst.suffix != '.pth':
        raise CheckpointError(f'Training state is no tensors, which {dst.name} cannot hold; name a .pth file.')
    checkpoint = converted.target_format.with_training_state(converted.target_format.nested(state), others)
    write_state(checkpoint, dst, {**(checkpoint.get('meta') or {}), **meta})
