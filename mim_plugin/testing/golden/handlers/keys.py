"""Names, shapes and types in whole published files, at full size.

The lists follow from the published code with the published options, not from downloaded files. A file is made of a
list: each tensor holds one number many times over, so that a file of any size takes no memory. It is read safely,
converted strictly, loaded strictly into our model of full size (without memory) and converted back.
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mim_plugin.checkpoints import contents_of, load_pretrained, read_checkpoint
from mim_plugin.checkpoints.convert import convert_state, flat
from mim_plugin.checkpoints.formats import beit, ibot
from mim_plugin.checkpoints.formats.traits import backbone_config, below, count
from mim_plugin.engine.optim import pretrain_groups
from mim_plugin.errors import CheckpointError
from mim_plugin.models.backbones.vision_transformer import ARCHS
from mim_plugin.models.dvae import DALLEDecoder, DALLEEncoder, StridedDVAE
from mim_plugin.models.dvae.loading import load_network
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.beit_step import StoredIds
from mim_plugin.testing.golden.handlers.ibot_model import head_config
from mim_plugin.testing.golden.handlers.unknown import UnknownCase

__all__ = ['beit_model', 'file_of_ibot', 'ibot_algorithm', 'keys_beit', 'keys_ibot', 'state_of_beit']

State = dict[str, Tensor]
# (width, depths, heads) of iBOT's Swin transformers.
SWINS = {
    'swin_tiny': (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    'swin_small': (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    'swin_base': (128, (2, 2, 18, 2), (4, 8, 16, 32)),
    'swin_large': (192, (2, 2, 18, 2), (6, 12, 24, 48)),
}


def keys_ibot(case: Case) -> Answers:
    """Every entry of a full file, as our algorithm with the same options reads and writes it."""
    with torch.device('meta'):
        model = MODELS.build(ibot_algorithm(case.settings))
    checkpoint = _written_and_read(file_of_ibot(case.settings, case.expected))
    _load_strictly(model, checkpoint)
    contents = contents_of(checkpoint)
    loaded = contents.student | {f'tokenizer.{name}': value for name, value in contents.teacher.items()}
    loaded |= {f'loss_module.{name}': value for name, value in contents.loss.items()}
    official = ibot.to_official({name: loaded[name] for name in model.state_dict()})
    changed = _changed_by_converting(checkpoint, 'ibot')
    networks = {part: _listed(official[part]) for part in ('student', 'teacher', 'ibot_loss')}
    facts: dict[str, Any] = {
        part: lambda stored, part=part: _differing(networks[part], stored) + changed[part] for part in networks
    }
    facts |= {
        'top_level_entries': lambda stored: sum(entry.split()[0] not in checkpoint for entry in stored),
        'epoch': lambda stored: not stored.startswith('int') or isinstance(checkpoint['epoch'], int),
        'args': lambda stored: len(set(stored['fields']) ^ set(vars(checkpoint['args']))),
        'optimizer': _groups_rule(model),
        'number_of_values': {part: _values(official[part]) for part in ('student', 'teacher')},
        'tensors_sharing_storage': lambda stored: sum(
            (text != 'none') != _shares(official[part]) for part, text in stored.items()
        ),
        'backbone_only_file': lambda stored: _backbone_only(model, checkpoint['teacher'], stored['keys_teacher']),
    }
    return Answers({'dummy': torch.zeros(1)}, facts)


def ibot_algorithm(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Our algorithm for the options of a run of the published program."""
    options = {**settings['namespace'], 'arch': settings['arch']}
    published = {'hidden_dim': 2048, 'bottleneck_dim': 256, 'nlayers': 3}  # not among the program's options
    norm = options['norm_in_head']
    norm = 'bn' if norm and norm.endswith('bn') else norm  # all kinds of batch norm have the same names
    return {
        'type': 'IBOT',
        'backbone': _ibot_backbone(options) | {'mask_token': options.get('use_masked_im_modeling', True)},
        'head': head_config({**published, **options, 'norm': norm, 'act': options['act_in_head']}),
        'tokenizer': {'head': {'shared': options['shared_head_teacher'], 'norm_last_layer': True}},
    }


def _ibot_backbone(options: Mapping[str, Any]) -> dict[str, Any]:
    family, _, size = options['arch'].partition('_')
    common = {'img_size': 224, 'patch_size': options['patch_size'], 'drop_path_rate': options.get('drop_path', 0.0)}
    if family == 'vit' and size in ARCHS:
        return {**common, 'type': 'MIMVisionTransformer', 'arch': size}
    if options['arch'] in SWINS:
        width, depths, heads = SWINS[options['arch']]
        arch = {'embed_dims': width, 'depths': depths, 'num_heads': heads}
        return {**common, 'type': 'MIMSwinTransformer', 'arch': arch, 'window_size': options['window_size']}
    raise UnknownCase(f'architecture {options["arch"]!r}')


def file_of_ibot(
    settings: Mapping[str, Any], expected: Mapping[str, Any], fill: Callable[..., Tensor] | None = None
) -> dict[str, Any]:
    """A full file with these names. Prototypes that are one tensor there have equal numbers.

    Args:
        settings: Of the case.
        expected: Of the case.
        fill: Gives the tensor of a name, a shape and a type; by default one number for all of it.
    """
    shared = expected['tensors_sharing_storage']
    checkpoint: dict[str, Any] = {
        part: _filled(expected[part], fill or _number, shared.get(part, 'none'))
        for part in ('student', 'teacher', 'ibot_loss')
    }
    fields = dict.fromkeys(expected['args']['fields'])
    return checkpoint | {
        'epoch': 800,
        'args': argparse.Namespace(**{**fields, **settings['namespace'], 'arch': settings['arch']}),
        'optimizer': {'state': {}, 'param_groups': [{'lr': 5e-4}] * expected['optimizer']['number_of_groups']},
        'fp16_scaler': {'scale': 65536.0, 'growth_factor': 2.0},
    }


def _filled(entries: list, fill: Callable[..., Tensor], sharing: str) -> State:
    """Tensors of a list. ``sharing``: 'SECOND.* is the same parameter as FIRST.*', or anything else."""
    state: State = {}
    same = re.match(r'(?P<second>\S+)\.\* is the same parameter as (?P<first>\S+)\.\*', sharing)
    for name, shape, dtype in entries:
        first = name.replace(same['second'], same['first']) if same else name
        if name.endswith('relative_position_index'):
            from mim_plugin.checkpoints.formats.swin import index_of_table

            state[name] = index_of_table(state[name.replace('_index', '_bias_table')])
        else:
            state[name] = state[first] if first in state else fill(name, shape, getattr(torch, dtype))
    return state


def _number(name: str, shape: list[int], dtype: torch.dtype) -> Tensor:
    """A number that belongs to the name, as if it filled the shape."""
    return torch.tensor(float(sum(map(ord, name)) % 997 + len(name))).to(dtype).expand(shape)


def _written_and_read(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What our reader makes of a file. Tensors that repeat one number are in it as that number."""
    written = {key: _of_networks(entry, _first_if_repeated) for key, entry in checkpoint.items()}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(written, Path(folder) / 'checkpoint.pth')
        read = read_checkpoint(Path(folder) / 'checkpoint.pth')
    shapes = {key: _of_networks(entry, lambda value: value.shape) for key, entry in checkpoint.items()}
    return {
        key: {name: value.expand(shapes[key][name]) for name, value in entry.items()} if _is_network(entry) else entry
        for key, entry in read.items()
    }


def _is_network(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry) and all(isinstance(value, Tensor) for value in entry.values())


def _of_networks(entry: Any, change: Callable[[Tensor], Any]) -> Any:
    return {name: change(value) for name, value in entry.items()} if _is_network(entry) else entry


def _first_if_repeated(value: Tensor) -> Tensor:
    return value[(0,) * value.ndim].clone() if value.untyped_storage().nbytes() == value.element_size() else value


def _load_strictly(model: nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """Every parameter is filled, every tensor used."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*copying from a non-meta parameter')
        report = load_pretrained(model, checkpoint, logger=None)
    aside = [name for name in report.kept if not name.endswith(('num_batches_tracked', 'relative_position_index'))]
    if aside or report.unused or report.resized:
        raise CheckpointError(f'Kept {aside}, unused {report.unused}, resized {report.resized}.')


def _changed_by_converting(checkpoint: Mapping[str, Any], family: str) -> dict[str, int]:
    """How many tensors of each network are other ones after a conversion to our names and back."""
    before = flat(checkpoint)[0]
    after = convert_state(checkpoint, None, family).state
    changed: dict[str, int] = dict.fromkeys(('student', 'teacher', 'ibot_loss'), 0)
    for name in before.keys() | after.keys():
        part = name.split('.')[0]
        changed[part] = changed.get(part, 0) + (not _same(before.get(name), after.get(name)))
    return changed


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is not None and b is not None and a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def _listed(state: Mapping[str, Tensor]) -> list[list]:
    return [[name, list(value.shape), str(value.dtype).removeprefix('torch.')] for name, value in state.items()]


def _differing(ours: list, stored: list) -> int:
    return sum(a != b for a, b in zip(ours, stored)) + abs(len(ours) - len(stored))


def _values(state: Mapping[str, Tensor]) -> int:
    return sum(value.numel() for value in state.values())


def _shares(state: State) -> bool:
    """Whether [CLS] and patches have one layer of prototypes."""
    second = [name for name in state if 'last_layer2' in name or 'head.mlp2.' in name]
    others = {id(value) for name, value in state.items() if name not in second}
    return bool(second) and all(id(state[name]) in others for name in second)


def _groups_rule(model: nn.Module) -> Callable[[Mapping[str, Any]], int]:
    """Order of the parameters in the optimizer's state, by group."""
    names = {p: f'module.{ibot.official_name(name)}' for name, p in model.named_parameters() if 'tokenizer' not in name}
    groups = [[names[p] for p in group['params']] for group in pretrain_groups(model)]

    def differing(stored: Mapping[str, Any]) -> int:
        listed = [stored[f'indices_group{i}'] for i in range(stored['number_of_groups'])]
        return sum(_differing(a, b) for a, b in zip(groups, listed)) + abs(len(groups) - len(listed))

    return differing


def _backbone_only(model: nn.Module, teacher: State, names: list[str]) -> int:
    """The small published file: the teacher's backbone without prefix."""
    teacher = {name.removeprefix('module.'): value for name, value in teacher.items()}
    small = {'state_dict': below(teacher, 'backbone.')}
    _load_strictly(model.tokenizer.backbone, small)
    return _differing(list(ibot.backbone_to_official(model.tokenizer.backbone.state_dict())), names)


def keys_beit(case: Case) -> Answers:
    """Every list of a case: BEiT's networks and the tokenizers."""

    def differing(stored: Mapping[str, Any]) -> int:
        return sum(_differing_model(entry) for entry in stored.values())

    networks = [state_of_beit(entry['keys']) for entry in case.expected.get('models', {}).values()]
    return Answers(facts={'models': differing, 'top_level': lambda stored: _layouts_that_fail(stored, networks)})


def state_of_beit(keys: Mapping[str, str], fill: Callable[..., Tensor] | None = None) -> State:
    """Tensors for a list of ``name: 'type[shape]'``."""
    state: State = {}
    indices: dict[int, Tensor] = {}
    for name, text in keys.items():
        dtype, shape = re.fullmatch(r'(\w+)\[([\d,]*)\]', text).groups()
        shape = [int(side) for side in shape.split(',') if side]
        table = state.get(name.replace('_index', '_bias_table'))
        if name.endswith('relative_position_index') and table is not None:
            if len(table) not in indices:  # the same for all blocks, and large
                indices[len(table)] = beit.index_of_table(table)
            state[name] = indices[len(table)]
        else:
            state[name] = (fill or _number)(name, shape, getattr(torch, dtype))
    return state


def _differing_model(entry: Mapping[str, Any]) -> int:
    """Mismatches of one network after the way to our names, into our model, and back."""
    state = state_of_beit(entry['keys'])
    for network in (DALLEEncoder, DALLEDecoder, StridedDVAE):
        if (sizes := network.sizes_in(state)) is not None:
            model, back = _tokenizer(network, sizes, state)
            break
    else:
        key = 'state_dict' if any(name.startswith('backbone.') for name in state) else 'model'
        checkpoint = _written_and_read({key: state})
        with torch.device('meta'):
            model = MODELS.build(beit_model(contents_of(checkpoint).teacher))
        _load_strictly(model, checkpoint)
        back = convert_state(checkpoint, None, 'beit').state
    wrong = sum(not _same(state.get(name), back.get(name)) for name in state.keys() | back.keys())
    parameters = sum(p.numel() for p in model.parameters())
    return wrong + (parameters != entry['parameters']) + (len(back) != entry['entries'])


def _tokenizer(network: type[nn.Module], sizes: Mapping[str, int], state: State) -> tuple[nn.Module, State]:
    """Our tokenizer of these sizes, and what a file of it looks like; names are the same."""
    with torch.device('meta'):
        model = network(**sizes)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*copying from a non-meta parameter')
        torch.save({'weights': state}, Path(folder) / 'tokenizer.pth')
        load_network(model, str(Path(folder) / 'tokenizer.pth'))
    fits = {name: value.shape for name, value in model.state_dict().items()}
    return model, {name: state[name] for name, shape in fits.items() if state[name].shape == shape}


def beit_model(ours: State) -> dict[str, Any]:
    """Our model that has exactly these parameters."""
    backbone = backbone_config(below(ours, 'backbone.'))
    if 'decode_head.conv_seg.weight' in ours:
        return _segmenter(backbone, ours)
    if 'head.linear.weight' in ours:
        tokenizer = {'type': StoredIds, 'vocabulary_size': len(ours['head.linear.weight'])}
        return {'type': 'BEiT', 'backbone': backbone, 'tokenizer': tokenizer}
    if 'head.weight' in ours:
        return {'type': 'MIMClassifier', 'backbone': backbone, 'num_classes': len(ours['head.weight'])}
    return backbone


def _segmenter(backbone: dict[str, Any], ours: State) -> dict[str, Any]:
    if find_spec('mmseg') is None:
        raise UnknownCase('the heads of this list are those of mmsegmentation; install it (docs/installation.md)')
    depth, width = backbone['arch']['num_layers'], backbone['arch']['embed_dims']
    classes, channels = ours['decode_head.conv_seg.weight'].shape[:2]
    pools = count(ours, r'decode_head\.psp_modules\.')
    convolutions = count(ours, r'auxiliary_head\.convs\.')
    common = {'num_classes': classes, 'norm_cfg': {'type': 'SyncBN'}, 'align_corners': False}
    model = {
        '_scope_': 'mmseg',
        'type': 'EncoderDecoder',
        'backbone': {
            **backbone,
            'type': f'mim_plugin.{backbone["type"]}',
            'out_indices': [math.ceil(depth * (i + 1) / 4) - 1 for i in range(4)],
        },
        'neck': {'type': 'mim_plugin.FeaturePyramid', 'in_channels': width, 'patch_size': backbone['patch_size']},
        'decode_head': {
            'type': 'UPerHead',
            'in_channels': [width] * 4,
            'in_index': [0, 1, 2, 3],
            'channels': channels,
            'pool_scales': (1, 2, 3, 6)[:pools],
            **common,
        },
    }
    if convolutions:
        model['auxiliary_head'] = {
            'type': 'FCNHead',
            'in_channels': width,
            'in_index': 2,
            'channels': ours['auxiliary_head.conv_seg.weight'].shape[1],
            'num_convs': convolutions,
            'kernel_size': ours['auxiliary_head.convs.0.conv.weight'].shape[-1],
            'concat_input': any(name.startswith('auxiliary_head.conv_cat.') for name in ours),
            **common,
        }
    return model


def _layouts_that_fail(stored: Mapping[str, Any], networks: list[State]) -> int:
    """Layouts of a file, of those that its readers know, in which we do not find the network."""
    failed = 0
    for state in networks:
        segmenter = any(name.startswith('backbone.') for name in state)
        if not segmenter and 'patch_embed.proj.weight' not in state:
            continue  # a tokenizer
        layout = stored.get('segmentation' if segmenter else 'pretrain_and_classifier', {})
        names = contents_of(state).teacher.keys()
        for key in layout.get('read_from', ()):
            full = {key: state, 'optimizer': {'state': {}}, 'epoch': 1, 'meta': {}, 'scaler': {'scale': 1.0}}
            failed += contents_of(full).teacher.keys() != names
    return failed
