"""The folder of a model of Hugging Face: tensors, and a ``config.json`` that says what the tensors do not."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from mim_plugin.checkpoints.formats.traits import TABLE, count, has
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import CheckpointError

__all__ = ['config_of', 'import_transformers', 'load', 'outputs', 'quiet', 'save']

# Where tools/setup.sh puts transformers: mmpretrain fails at import when it finds a present version of it.
SEPARATE_FOLDER = Path(sys.prefix) / 'share' / 'mim_plugin' / 'convert'
TENSOR_FILES = ('model.safetensors', 'pytorch_model.bin')
OUR_EPS = 1e-6
CLASSES = {'beit': 'Beit', 'vit': 'ViT', 'dinov2': 'Dinov2', 'dinov2_with_registers': 'Dinov2WithRegisters'}

State = dict[str, Tensor]


def load(folder: Path, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Read a folder.

    Args:
        folder: With ``config.json`` and ``model.safetensors`` or ``pytorch_model.bin``, whole or in parts.
        kinds: The ``model_type`` of models that are known.

    Returns:
        ``state_dict``, and ``meta`` with the config.

    Raises:
        CheckpointError: A model of another kind, or one whose config asks for what our backbone does not compute.
    """
    try:
        config = json.loads((folder / 'config.json').read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{folder / "config.json"} cannot be read ({error}); download it again.') from error
    kind = config.get('model_type') if isinstance(config, dict) else None
    if kind not in kinds:
        raise CheckpointError(f'{folder} holds a model of the kind {kind!r}; known are {", ".join(kinds)}.')
    if config.get('hidden_act', 'gelu') != 'gelu':
        raise CheckpointError(
            f'{folder / "config.json"} has hidden_act={config["hidden_act"]!r}; our backbone computes the exact GELU.'
        )
    _say_what_tensors_do_not(folder, config)
    return {'state_dict': _tensors(folder), 'meta': {'config': json.dumps(config)}}


def _tensors(folder: Path) -> State:
    for name in TENSOR_FILES:
        index = folder / f'{name}.index.json'
        if (folder / name).is_file():
            files = [name]
        elif index.is_file():
            files = _parts(index)
        else:
            continue
        state = {}
        for file in files:
            checkpoint = read_checkpoint(folder / Path(file).name)
            state |= checkpoint.get('state_dict', checkpoint)
        return state
    raise CheckpointError(f'{folder} has a config.json but neither {" nor ".join(TENSOR_FILES)}; download it again.')


def _parts(index: Path) -> list[str]:
    """Names of the files over which the tensors are spread."""
    try:
        return sorted(set(map(str, json.loads(index.read_text())['weight_map'].values())))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f'{index} is no list of files with tensors ({error}); download it again.') from error


def _say_what_tensors_do_not(folder: Path, config: Mapping[str, Any]) -> None:
    """Log settings with which our backbone must be built for equal outputs."""
    settings = []
    eps = config.get('layer_norm_eps', 1e-6 if 'dinov2' in config['model_type'] else 1e-12)
    if eps != OUR_EPS:
        settings.append(f'norm_eps={eps}')
    dims, heads = config.get('hidden_size', 768), config.get('num_attention_heads', 12)
    if dims != 64 * heads:
        settings.append(f'num_heads={heads}')
    if settings:
        print_log(
            f'{folder / "config.json"}: for exactly its outputs give our backbone {" and ".join(settings)}.',
            logger='current',
            level=logging.WARNING,
        )


def save(state: State, kind: str, prefix: str, folder: Path, meta: Mapping[str, str]) -> None:
    """Write a folder that ``from_pretrained`` reads.

    Args:
        state: Names of the hub.
        kind: ``model_type``.
        prefix: Of the backbone's names.
        folder: It is made; files of these names in it are replaced.
        meta: As for :meth:`Format.save`.

    Raises:
        CheckpointError: The path is that of a file.
    """
    from mim_plugin.checkpoints.export import unfinished_file, write_state  # it reads, too, through this package

    if folder.suffix in ('.pth', '.pt', '.safetensors', '.bin') or folder.is_file():
        raise CheckpointError(f'A model of Hugging Face is a folder, not a file; name one instead of {folder}.')
    config = config_of(state, kind, prefix, json.loads(meta['backbone']))
    # transformers reads only files that say 'pt'.
    write_state({'state_dict': state}, folder / 'model.safetensors', {**meta, 'format': 'pt'})
    with unfinished_file(folder / 'config.json') as unfinished:
        unfinished.write_text(json.dumps(config, indent=2, sort_keys=True) + '\n')
        unfinished.replace(folder / 'config.json')


def config_of(state: Mapping[str, Tensor], kind: str, prefix: str, backbone: Mapping[str, Any]) -> dict[str, Any]:
    """What ``config.json`` says of a model.

    Args:
        state: Names of the hub.
        kind: ``model_type``.
        prefix: Of the backbone's names.
        backbone: Settings of our backbone with the same parameters.
    """
    arch, size = backbone['arch'], backbone['img_size']
    if kind == 'beit' and not isinstance(size, int) and size[0] != size[1]:
        raise CheckpointError(
            f"The backbone is made for images of {size[0]} by {size[1]} pixels, and transformers' BEiT computes "
            "something else on rectangles; convert to 'timm' instead."
        )
    config = {
        'architectures': [_class_name(state, kind)],
        'model_type': kind,
        'hidden_size': arch['embed_dims'],
        'num_hidden_layers': arch['num_layers'],
        'num_attention_heads': arch['num_heads'],
        'hidden_act': 'gelu',
        'layer_norm_eps': backbone.get('norm_eps', OUR_EPS),
        'image_size': backbone['img_size'],
        'patch_size': backbone['patch_size'],
        'num_channels': backbone['in_channels'],
        'dtype': str(state[f'{prefix}embeddings.cls_token'].dtype).removeprefix('torch.'),
    }
    if kind.startswith('dinov2'):
        ratio, rest = divmod(arch['feedforward_channels'], arch['embed_dims'])
        if rest:
            raise CheckpointError(
                f'The feed-forward layers have {arch["feedforward_channels"]} channels; those of DINOv2 in '
                f'transformers have a whole multiple of {arch["embed_dims"]}.'
            )
        config |= {'mlp_ratio': ratio, 'use_swiglu_ffn': False}
    else:
        config['intermediate_size'] = arch['feedforward_channels']
    if kind == 'dinov2':
        config['use_mask_token'] = has(state, 'embeddings.mask_token')
    if kind == 'dinov2_with_registers':
        config['num_register_tokens'] = state[f'{prefix}embeddings.register_tokens'].shape[1]
    if kind == 'beit':
        config |= _of_beit(state, prefix, arch['num_layers'])
    else:
        config['qkv_bias'] = has(state, 'attention.attention.query.bias')
    layers = [state[name] for name in ('classifier.weight', 'decode_head.classifier.weight') if name in state]
    if layers:
        config['id2label'] = {str(i): f'LABEL_{i}' for i in range(len(layers[0]))}
        config['label2id'] = {f'LABEL_{i}': i for i in range(len(layers[0]))}
    return config


def _class_name(state: Mapping[str, Tensor], kind: str) -> str:
    ends = {
        'lm_head.weight': 'ForMaskedImageModeling',
        'classifier.weight': 'ForImageClassification',
        'decode_head.classifier.weight': 'ForSemanticSegmentation',
    }
    return CLASSES[kind] + next((end for name, end in ends.items() if name in state), 'Model')


def _of_beit(state: Mapping[str, Tensor], prefix: str, depth: int) -> dict[str, Any]:
    """Settings that only BEiT has."""
    own = has(state, f'attention.attention.relative_position_bias.{TABLE}')
    config = {
        'use_mask_token': f'{prefix}embeddings.mask_token' in state,
        'use_absolute_position_embeddings': f'{prefix}embeddings.position_embeddings' in state,
        'use_relative_position_bias': own,
        'use_shared_relative_position_bias': f'{prefix}encoder.relative_position_bias.{TABLE}' in state,
        'layer_scale_init_value': 0.1 if has(state, '.lambda_1') else 0.0,
        # In pretraining the norm stands behind the model, which has none then.
        'use_mean_pooling': f'{prefix}layernorm.weight' not in state or 'lm_head.weight' in state,
    }
    if 'lm_head.weight' in state:
        config['vocab_size'] = len(state['lm_head.weight'])
    if 'decode_head.classifier.weight' in state:
        third = [depth // 3, depth // 2, 2 * depth // 3, depth]
        config |= {
            # As in the published models.
            'out_indices': [i - 1 for i in third] if depth % 12 == 0 else list(range(depth - 3, depth + 1)),
            'use_auxiliary_head': 'auxiliary_head.classifier.weight' in state,
            'auxiliary_num_convs': count(state, r'auxiliary_head\.convs\.'),
        }
        if 'decode_head.bottleneck.conv.weight' not in state:
            raise CheckpointError(
                'The decode head is no UPerNet, the only one of BeitForSemanticSegmentation; convert a file with the '
                'backbone alone, or to mmseg.'
            )
        width = len(state['decode_head.bottleneck.conv.weight'])
        if width != len(state[f'{prefix}embeddings.patch_embeddings.projection.weight']):
            raise CheckpointError(
                f'The decode head has {width} channels; that of BeitForSemanticSegmentation has those of the backbone.'
            )
        if config['use_auxiliary_head']:
            config['auxiliary_channels'] = state['auxiliary_head.classifier.weight'].shape[1]
    return config


def outputs(state: State, kind: str, prefix: str, meta: Mapping[str, str], images: Tensor) -> Tensor:
    """Patch tokens of their class, read from a folder in the ordinary way; see :meth:`Format.outputs`."""
    transformers = import_transformers()
    with tempfile.TemporaryDirectory() as folder:
        save({name: value.clone().contiguous() for name, value in state.items()}, kind, prefix, Path(folder), meta)
        with quiet(transformers):
            # Not a BeitModel of a larger file: behind its tokens stands the norm of the whole model.
            class_name = _class_name(state, kind)
            pooler = {} if prefix else {'add_pooling_layer': any(name.startswith('pooler.') for name in state)}
            if class_name.startswith('Dinov2'):
                pooler = {}
            model, info = getattr(transformers, class_name).from_pretrained(folder, output_loading_info=True, **pooler)
    unread = {key: sorted(map(str, info.get(key, ()))) for key in ('missing_keys', 'unexpected_keys')}
    if any(unread.values()):
        raise CheckpointError(f'{class_name}.from_pretrained does not take the tensors: {unread}.')
    backbone = getattr(model.eval(), prefix.removesuffix('.')) if prefix else model
    with torch.no_grad():
        tokens = backbone(images).last_hidden_state
        if 'lm_head.weight' in state:
            tokens = model.layernorm(tokens)
    registers = state[f'{prefix}embeddings.register_tokens'].shape[1] if kind == 'dinov2_with_registers' else 0
    return tokens[:, 1 + registers :]


@contextmanager
def quiet(transformers: ModuleType) -> Iterator[None]:
    """No bars and no advice on standard error."""
    log = transformers.utils.logging
    level = log.get_verbosity()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        log.enable_progress_bar()


def import_transformers() -> ModuleType:
    """The package, from the environment or from the folder beside it in which ``tools/setup.sh`` puts it.

    Raises:
        ImportError: It is in neither, in one sentence.
    """
    try:
        return importlib.import_module('transformers')
    except ImportError:
        if not SEPARATE_FOLDER.is_dir():
            raise ImportError(
                "transformers is not installed; run 'bash tools/setup.sh --extra convert', or in an environment "
                "without mmpretrain: pip install 'mim_plugin[convert]'"
            ) from None
    # Only while it is imported: mmpretrain must not find it.
    sys.path.append(str(SEPARATE_FOLDER))
    try:
        package = importlib.import_module('transformers')
        for name in CLASSES.values():
            getattr(package, f'{name}Model')
    finally:
        sys.path.remove(str(SEPARATE_FOLDER))
    return package
