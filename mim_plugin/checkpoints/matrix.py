"""What converts to what: found by converting small random networks, not written by hand."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.convert import Converted, convert_state
from mim_plugin.checkpoints.formats.registry import FORMATS
from mim_plugin.checkpoints.formats.traits import build_backbone
from mim_plugin.errors import CheckpointError

__all__ = ['MARKERS', 'cells', 'format_matrix', 'sample', 'update_page']

MARKERS = (
    '<!-- matrix of formats: written by tools/model_converters/format_matrix.py -->',
    '<!-- end of the matrix -->',
)
_ARCH = {'embed_dims': 64, 'num_layers': 2, 'num_heads': 1, 'feedforward_channels': 256}
_SWIN_ARCH = {'embed_dims': 16, 'depths': (2, 1, 1, 1), 'num_heads': (2, 2, 4, 4)}
_VIT = {'type': 'MIMVisionTransformer', 'arch': _ARCH, 'img_size': 32, 'patch_size': 8}
_BEIT = {**_VIT, 'pos_embed': None, 'qkv_bias': 'qv', 'layer_scale': 0.1}
_SWIN = {'type': 'MIMSwinTransformer', 'arch': _SWIN_ARCH, 'img_size': 128, 'window_size': 4}
KINDS = (
    'ViT', 'ViT, classifier', 'ViT, student and teacher', 'BEiT, pretraining', 'BEiT, classifier', 'BEiT, segmentor',
    'Swin', 'Swin, student and teacher',
)  # fmt: skip


def sample(kind: str) -> dict[str, Tensor]:
    """A small random network with our names; no two numbers are the same.

    Args:
        kind: One of :data:`KINDS`.
    """
    torch.manual_seed(0)
    return {name: torch.randn(shape) for name, shape in _shapes(kind).items()}


@functools.cache
def _shapes(kind: str) -> dict[str, tuple[int, ...]]:
    family, _, use = kind.partition(', ')
    pair = use == 'student and teacher'
    options = {'Swin': _SWIN, 'ViT': _VIT, 'BEiT': _BEIT}[family]
    if family == 'BEiT':
        options = {**options, 'relative_bias': 'shared' if use == 'pretraining' else 'per_block'}
    options = {**options, 'mask_token': pair or use == 'pretraining', 'mean_pooling': use == 'classifier'}
    if family == 'Swin':
        del options['mean_pooling']
    shapes = {f'backbone.{name}': tuple(value.shape) for name, value in _state(options).items()}
    width = shapes[list(shapes)[-1]][0]
    if pair:
        shapes |= _head(width)
        shapes |= {f'tokenizer.{name}': shape for name, shape in shapes.items() if 'mask_token' not in name}
        shapes |= {'loss_module.center': (1, 16), 'loss_module.center2': (1, 1, 16)}
    return shapes | {
        'pretraining': {'head.linear.weight': (32, width), 'head.linear.bias': (32,)},
        'classifier': {'head.weight': (5, width), 'head.bias': (5,)},
        'segmentor': {'neck.levels.1.0.weight': (width, width, 2, 2), 'decode_head.conv_seg.weight': (3, width, 1, 1)},
    }.get(use, {})


def cells() -> Iterator[tuple[str, str, str, Converted | str]]:
    """Every kind of network in every format that holds it whole, to every format.

    Yields:
        Kind, source, target, and the conversion, or the reason why there is none.
    """
    families = [known for known in FORMATS if known.writable]
    for kind in KINDS:
        ours = sample(kind)
        for source in families:
            file = _converted(ours, 'mim_plugin', source.name)
            if isinstance(file, str) or file.report.lost or file.report.kind == 'same outputs':
                continue
            checkpoint = source.nested(file.state)
            for target in families:
                if target is not source:
                    yield kind, source.name, target.name, _converted(checkpoint, source.name, target.name)


def format_matrix() -> str:
    """The matrix as Markdown."""
    targets = [known.name for known in FORMATS if known.writable]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    losses: dict[str, str] = {}
    refused: dict[str, None] = {}
    for kind, source, target, result in cells():
        rows.setdefault((kind, source), {})[target] = _cell(result, losses)
        if isinstance(result, str):
            refused[f'{target}: {result}'] = None
    lines = [f'| network | from \\ to | {" | ".join(targets)} |', '|' + '---|' * (len(targets) + 2)]
    for (kind, source), row in rows.items():
        found = ['' if target == source else row[target] for target in targets]
        lines.append(f'| {kind} | {source} | {" | ".join(found)} |')
    lines += ['', 'What is lost:', '', *(f'- {mark}: {what}' for what, mark in losses.items())]
    limits = [f'- {known.name}: {known.limits}' for known in FORMATS if known.limits]
    compared = [f'- {known.name}: {known.parity}' for known in FORMATS]
    lines += ['', 'Limits of the formats:', '', *limits, '', 'What outputs were compared with:', '', *compared]
    lines += ['', 'Why it is refused:', '', *(f'- {reason}' for reason in refused)]
    return '\n'.join(lines)


def update_page(page: Path) -> bool:
    """Write the matrix between the markers of a page; whether that changed it."""
    before = page.read_text(encoding='utf-8')
    start, end = (re.escape(marker) for marker in MARKERS)
    pattern = re.compile(f'({start}\n).*?(\n{end})', re.DOTALL)
    if not pattern.search(before):
        raise CheckpointError(f'{page} has no markers for the matrix: {MARKERS[0]}')
    matrix = format_matrix()
    after = pattern.sub(lambda match: f'{match[1]}\n{matrix}\n{match[2]}', before)
    page.write_text(after, encoding='utf-8')
    return after != before


def _converted(checkpoint: Mapping[str, Any], source: str, target: str) -> Converted | str:
    try:
        return convert_state(checkpoint, source, target, allow_unused=('*',))
    except CheckpointError as error:
        return str(error)


def _cell(result: Converted | str, losses: dict[str, str]) -> str:
    if isinstance(result, str):
        return 'refused'
    if result.report.kind != 'lossy':
        return result.report.kind
    lost = [row for row in result.report.rows if row.state == 'lost']
    reasons = dict.fromkeys(_lost_part(row.ours or row.source) + row.change for row in lost)
    return 'lossy ' + ' '.join(losses.setdefault(reason, _mark(len(losses))) for reason in reasons)


def _mark(number: int) -> str:
    return f'({chr(ord("a") + number)})'


def _lost_part(names: tuple[str, ...]) -> str:
    """The part of a network in words."""
    return 'mask token: ' if names[0].endswith('mask_token') else f'`{names[0].split(".")[0]}`: '


def _state(options: Mapping[str, Any]) -> dict[str, Tensor]:
    with torch.device('meta'):
        return build_backbone(options).state_dict()


def _head(width: int) -> dict[str, tuple[int, ...]]:
    return {
        'head.mlp.0.weight': (24, width), 'head.mlp.0.bias': (24,),
        'head.mlp.2.weight': (8, 24), 'head.mlp.2.bias': (8,),
        'head.last_layer.weight_g': (16, 1), 'head.last_layer.weight_v': (16, 8),
    }  # fmt: skip
