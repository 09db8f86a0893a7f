"""Loading weights into a model, whatever file they come from, and saying what was done."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mim_plugin.checkpoints import read  # noqa: F401  (registers the safe reader)
from mim_plugin.checkpoints.contents import Contents, contents_of, network_of, state_dict_of
from mim_plugin.checkpoints.formats.traits import backbone_config, below
from mim_plugin.errors import CheckpointError

__all__ = ['MAY_KEEP', 'LoadReport', 'fill', 'load_pretrained']

State = dict[str, Tensor]

# May be in the file and not in the model: the mask token serves pretraining only, and there is no final norm
# where raw tokens are read; which stages of a Swin transformer give outputs, each with its norm, is the task's choice.
_MAY_BE_UNUSED = re.compile(r'(^|\.)mask_token$|(^|backbone\.)(ln[12]|norm\d+)\.(weight|bias)$')
# May be in the model and not in the file. The norm of the mean patch often starts anew, as do those of early stages.
MAY_KEEP = re.compile(
    r'(^|\.)mask_token$|(^|backbone\.)(ln2|norm[012])\.(weight|bias)$|relative_position_index$|num_batches_tracked$'
)

_OF_PROTOTYPES = re.compile(r'^(tokenizer\.)?head\.last_layer\.|^loss_module\.center')


@dataclass
class LoadReport:
    """What a load did. ``str()`` gives one line.

    Attributes:
        source: File, and what was recognised in it.
        loaded: Names that took a value from the file.
        resized: Names among them whose positions or tables were resized, with both shapes.
        kept: Names of the model that are not in the file and keep their values.
        unused: Names of the file that the model has no place for.
        mismatched: Names with different shapes, with both shapes.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f'Loaded {len(self.loaded)} tensors from {self.source}'
        for title in ('resized', 'kept', 'unused', 'mismatched'):
            if names := getattr(self, title):
                text += f'; {title}: {_shorten(names)}'
        return text + '.'


def load_pretrained(
    module: nn.Module,
    checkpoint: str | os.PathLike | Mapping[str, Any],
    part: str = 'teacher',
    prefix: str | None = None,
    strict: bool = True,
    logger: logging.Logger | str | None = 'current',
    source: str | None = None,
) -> LoadReport:
    """Load a checkpoint into a backbone, a head, or a whole student-teacher algorithm.

    The kind of the file and its names are recognised, see
    :func:`mim_plugin.checkpoints.contents_of`. When the model's grid differs, absolute positions are resized
    (bicubic, to the exact grid), and so are tables of relative position bias (BEiT's as in
    :func:`mim_plugin.models.layers.resize_bias_table`, those of Swin windows bicubic). The file's grid must be square.

    A whole algorithm (with ``backbone`` and ``tokenizer.backbone``) takes both networks and
    the centres. From a file with one network it takes that for both, so that a
    pretraining can go on from an exported backbone; a head or centres that the file
    lacks keep their values.

    Args:
        module: Model to fill.
        checkpoint: File, address, or the dict in a file.
        part: 'teacher' or 'student': which network of a pair a single model takes.
        prefix: Take the names below this prefix of the state dict instead of choosing by itself.
        strict: Raise for any tensor of the model that the file does not fill and any
            of the file that the model has no use for.
        logger: Where the report goes, as in mmengine; None for nowhere.
        source: What reports call the checkpoint; by default its file.

    Returns:
        The report.

    Raises:
        CheckpointError: The file cannot be read or does not fit; names and shapes are listed.
    """
    if part not in ('teacher', 'student'):
        raise CheckpointError(f"part={part!r} is unknown; use 'teacher' or 'student'.")
    source = source or ('a state dict' if isinstance(checkpoint, Mapping) else str(checkpoint))
    if not isinstance(checkpoint, Mapping):
        checkpoint = CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu', logger='silent')
    wanted, may_keep = module.state_dict(), ()
    if prefix is not None:
        state, origin = _below_prefix(state_dict_of(checkpoint, source), prefix), f'names below {prefix!r}'
    elif not _is_pair(module) and (state := state_dict_of(checkpoint, source)).keys() == wanted.keys():
        # Of this very kind of model: other projects' names in it (a pyramid of mmseg's) are meant as they are.
        origin = 'the same names'
    else:
        contents = contents_of(checkpoint, source)
        origin = _describe(contents, module, part)
        if _is_pair(module):
            state, may_keep = _both_networks(contents, wanted)
        else:
            state, aside = _best_branch(getattr(contents, part), wanted)
            origin += f', without its {" and ".join(aside)}' if aside else ''
    return fill(module, state, LoadReport(f'{source} ({origin})'), strict, may_keep, logger)


def fill(
    module: nn.Module,
    state: State,
    report: LoadReport,
    strict: bool = True,
    may_keep: tuple[str, ...] = (),
    logger: logging.Logger | str | None = 'current',
) -> LoadReport:
    """Load tensors with our names, resized where the grid differs, and complete the report.

    Args:
        module: Model to fill.
        state: Names as in the model.
        report: With its source.
        strict: As for :func:`load_pretrained`.
        may_keep: Beginnings of names that need not be there.
        logger: As for :func:`load_pretrained`.

    Raises:
        CheckpointError: They do not fit; names and shapes are listed.
    """
    wanted = module.state_dict()
    state = _name_classifier(_double_layers(_spread_shared_table(state, wanted), wanted), wanted)
    fitted = _fit(module, wanted, state, report)
    if 'tokenizer.' in may_keep:  # filled with a copy of the student when the state is loaded
        report.kept = [name for name in report.kept if not name.startswith('tokenizer.')]
    _check(report, state, wanted, strict, may_keep)
    module.load_state_dict(fitted, strict=False)
    if logger is not None:
        print_log(str(report), logger=logger)
    return report


def _is_pair(module: nn.Module) -> bool:
    return hasattr(module, 'backbone') and hasattr(getattr(module, 'tokenizer', None), 'backbone')


def _describe(contents: Contents, module: nn.Module, part: str) -> str:
    if not contents.is_pair:
        return contents.origin + (', for student and teacher' if _is_pair(module) else '')
    return f'{contents.origin}, ' + ('student and teacher' if _is_pair(module) else part)


def _below_prefix(state: State, prefix: str) -> State:
    prefix = prefix.rstrip('.') + '.' if prefix else ''
    state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    if any(name.startswith('backbone.') for name in state):
        return state
    network, _ = network_of(state)
    return {name.removeprefix('backbone.'): value for name, value in network.items()}


def _both_networks(contents: Contents, wanted: Mapping[str, Tensor]) -> tuple[State, tuple[str, ...]]:
    """The state of a whole algorithm, and the beginnings of what the file need not hold."""
    student, teacher, may_keep = contents.student, contents.teacher, ()
    if not any(name.startswith('head.') and name in wanted for name in student):
        # A bare backbone, or one with the head of another training.
        student, teacher, may_keep = _backbone_only(student), _backbone_only(teacher), ('head.', 'patch_head.')
    state = student | {f'loss_module.{name}': value for name, value in contents.loss.items()}
    # DINO's own files know no centre of patches.
    may_keep += tuple(f'loss_module.{name}' for name in ('center', 'center2') if name not in contents.loss)
    if contents.is_pair:
        state |= {f'tokenizer.{name}': value for name, value in teacher.items()}
        return state, may_keep + tuple(f'tokenizer.{beginning}' for beginning in may_keep)
    return state, (*may_keep, 'tokenizer.')  # the algorithm itself copies a lone network into the teacher


def _backbone_only(state: State) -> State:
    return {name: value for name, value in state.items() if name.startswith('backbone.')}


def _best_branch(state: State, wanted: Mapping[str, Tensor]) -> tuple[State, list[str]]:
    """The branch of a network (backbone, head, whole) whose names fit a model best, and what it leaves aside."""
    branches = {
        p: {name.removeprefix(p): value for name, value in state.items() if name.startswith(p)}
        for p in ('', 'backbone.', 'head.')
    }
    prefix = max(branches, key=lambda p: len(branches[p].keys() & wanted.keys()))
    best = branches[prefix]
    if not prefix:  # other networks of the file, such as a head, are none of the model's business
        children = {name.split('.')[0] for name in wanted}
        best = {name: value for name, value in best.items() if name.split('.')[0] in children}
    aside = {name.split('.')[0] for name in state if name.removeprefix(prefix) not in best}
    return best, sorted(aside)


def _spread_shared_table(state: State, wanted: Mapping[str, Tensor]) -> State:
    """Give the table that all blocks of a pretraining share to every block of a model with own tables (BEiT)."""
    own_name, shared_name = '.attn.relative_position_bias_table', 'rel_pos_bias.relative_position_bias_table'
    shared = next((name for name in state if name.endswith(shared_name)), None)
    own = [name for name in wanted if name.endswith(own_name) and name not in state]
    if shared is None or shared in wanted or not own:
        return state
    return {name: v for name, v in state.items() if name != shared} | dict.fromkeys(own, state[shared])


def _double_layers(state: State, wanted: Mapping[str, Tensor]) -> State:
    """Give the layer that [CLS] and patches share to both layers of a model that has two."""
    doubled = {}
    for name in wanted.keys() - state.keys():
        match = re.fullmatch(r'(.*)(last_layer|mlp)2(\.\w+)', name)
        first = match and re.compile(rf'{match[1]}{match[2]}(\.\d+)?{match[3]}')
        layers = [other for other in state if first and first.fullmatch(other)]
        if layers:
            doubled[name] = state[max(layers)]  # the last one of an MLP
    return state | doubled


def _name_classifier(state: State, wanted: Mapping[str, Tensor]) -> State:
    """Name a classifier's layer as mmpretrain's head does, if that is what is wanted."""
    names = {f'head.{kind}': f'head.fc.{kind}' for kind in ('weight', 'bias')}
    if not all(name in state and other in wanted for name, other in names.items()):
        return state
    return {names.get(name, name): value for name, value in state.items()}


def _fit(module: nn.Module, wanted: Mapping[str, Tensor], state: State, report: LoadReport) -> State:
    """Pair names, resize positions and tables; the report takes what does not fit."""
    fitted, mismatched = {}, set()
    for name, value in state.items():
        target = wanted.get(name)
        if name.endswith('relative_position_index'):
            continue  # follows from the window of the model, which may be another than that of the file
        if target is None:
            report.unused.append(name)
        elif value.shape == target.shape:
            fitted[name] = value
        elif (resized := _resize(module, name, value, target)) is not None:
            fitted[name] = resized
            report.resized.append(f'{name} {tuple(value.shape)} -> {tuple(resized.shape)}')
        else:
            mismatched.add(name)
            report.mismatched.append(f'{name} (file {tuple(value.shape)}, model {tuple(target.shape)})')
    report.loaded = list(fitted)
    report.kept = [name for name in wanted if name not in fitted and name not in mismatched]
    return fitted


def _resize(module: nn.Module, name: str, value: Tensor, target: Tensor) -> Tensor | None:
    """Positions or a table for the model's grid or window; None when the file's are no square or of another width."""
    from mim_plugin.models.layers import resize_window_table  # the models import this package

    if value.ndim != target.ndim or value.shape[-1] != target.shape[-1]:
        return None
    owner = module.get_submodule(name.rpartition('.')[0])
    if name.endswith('w_msa.relative_position_bias_table'):
        square = math.isqrt(len(value)) ** 2 == len(value)
        return resize_window_table(value.float(), (math.isqrt(len(target)) + 1) // 2) if square else None
    if name.endswith('relative_position_bias_table'):
        return _resize_table(value, getattr(owner, 'window', None))
    if name.endswith('pos_embed'):
        # iBOT's rule is for images of another size than the model's: its files, too, are resized by size.
        rule = 'bilinear' if getattr(owner, 'pos_interpolation', 'size') == 'bilinear' else 'size'
        return _resize_positions(value, getattr(owner, 'train_grid', None), rule)
    return None


def _resize_positions(value: Tensor, grid: tuple[int, int] | None, rule: str = 'size') -> Tensor | None:
    from mim_plugin.models.layers import resize_positions  # the models import this package

    side = math.isqrt(value.shape[1] - 1)
    if grid is None or side * side != value.shape[1] - 1:
        return None
    return resize_positions(value.float(), (side, side), grid, rule)


def _resize_table(value: Tensor, grid: tuple[int, int] | None) -> Tensor | None:
    from mim_plugin.models.layers import resize_bias_table  # the models import this package

    offsets = len(value) - 3
    side = math.isqrt(max(offsets, 0))
    if grid is None or side * side != offsets or side % 2 == 0:
        return None
    source = (side + 1) // 2
    return resize_bias_table(value.float(), (source, source), grid)


def _check(
    report: LoadReport, state: State, wanted: Mapping[str, Tensor], strict: bool, may_keep: tuple[str, ...]
) -> None:
    if not report.loaded and not report.mismatched:
        has = _shorten(list(state)) or 'no such part'
        raise CheckpointError(
            f'Nothing in {report.source} fits the model: the file has {has}, the model wants '
            f'{_shorten(list(wanted))}; check the architecture, or name the branch of the file with `prefix`.'
        )
    if not strict and report.loaded:
        return
    missing = [name for name in report.kept if not MAY_KEEP.search(name) and not name.startswith(may_keep or '\0')]
    unused = [name for name in report.unused if not _MAY_BE_UNUSED.search(name)]
    problems = {'shapes differ': report.mismatched, 'not in the file': missing, 'not in the model': unused}
    if any(problems.values()):
        listed = '; '.join(f'{title}: {_shorten(names, 12)}' for title, names in problems.items() if names)
        remedy = _remedy(state, wanted, report, missing + unused)
        raise CheckpointError(f'{report.source} does not fit the model ({listed}); {remedy}.')


def _remedy(state: State, wanted: Mapping[str, Tensor], report: LoadReport, others: list[str]) -> str:
    """What to do about a file that does not fit."""
    for name in wanted:
        if name.endswith('patch_embed.projection.weight') and name in state:
            theirs, ours = state[name].shape[-1], wanted[name].shape[-1]
            if theirs != ours:
                return f'its patches have {theirs} pixels, those of the model {ours}: set patch_size={theirs}'
    if others or not report.mismatched:
        pass
    elif all(name.startswith('head.linear.') for name in report.mismatched):
        return (
            'its head was trained for another vocabulary: set model.tokenizer to its tokenizer, or start from its '
            'backbone alone with model.backbone.init_cfg'
        )
    elif all(_OF_PROTOTYPES.search(name) for name in report.mismatched):
        theirs, ours = (len(tensors['head.last_layer.weight_v']) for tensors in (state, wanted))
        return (
            f'its heads have {theirs} prototypes, those of the model {ours}: set model.head.out_dim={theirs}, or start '
            'from its backbone alone with model.backbone.init_cfg'
        )
    elif all('pos_embed ' in name or 'relative_position_bias_table ' in name for name in report.mismatched):
        return 'it was not trained on square images, whose grid could be told: set img_size to what it was trained on'
    # Of a model of another width, strict=False would load next to nothing.
    some_fit = len(report.loaded) > len(report.mismatched)
    return (
        'set the same architecture in the config'
        + _differing(_settings(state), _settings(wanted))
        + (', or load with strict=False to leave these out' if some_fit else '')
    )


def _settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of a backbone on which its names and shapes depend; none where there is no backbone of ours."""
    try:
        config = backbone_config(below(state, 'backbone.') or state)
    except CheckpointError:
        return {}
    arch = config.pop('arch')
    if 'num_layers' in arch:
        del arch['num_heads']  # leaves no trace in a plain transformer
    free = ('img_size', 'mask_token', 'mean_pooling', 'final_norm')
    return {name: value for name, value in {**arch, **config}.items() if name not in free}


def _differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    named = [f'{name}={value!r}' for name, value in theirs.items() if ours and ours.get(name) != value]
    return f' (of the file: {", ".join(named)})' if named else ''


def _shorten(names: list[str], limit: int = 4) -> str:
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more
