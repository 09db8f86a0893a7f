"""Settings of a backbone that its parameters do not show and its file may tell.

These are heads of attention, epsilon, fixed positions, and the sides of a rectangle of patches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mim_plugin.checkpoints.export import model_config_of
from mim_plugin.checkpoints.formats.traits import first_backbone, fits_grid, is_swin
from mim_plugin.errors import CheckpointError

__all__ = ['told_grid', 'with_told_settings']


def with_told_settings(
    config: Mapping[str, Any], checkpoint: Mapping[str, Any], num_heads: int | None = None
) -> dict[str, Any]:
    """Settings that were inferred from parameters, corrected by what a file says.

    Asked are, in this order: the settings in a converted file, the config in an exported file, a training
    checkpoint's config, and the ``config.json`` of Hugging Face.

    Args:
        config: Of our backbone, see :func:`mim_plugin.checkpoints.formats.traits.backbone_config`.
        checkpoint: What was read from the file.
        num_heads: Heads that the caller names, which count more than what the file says.

    Raises:
        CheckpointError: The backbone cannot have so many heads.
    """
    arch = config.get('arch', {})
    if num_heads is not None:
        _check_heads(config, num_heads)
    if not isinstance(arch.get('num_heads'), int):
        return dict(config)
    told = _told(checkpoint)
    told_arch = told.get('arch')
    told_arch = told_arch if isinstance(told_arch, Mapping) else {}
    config = dict(config)
    if told_arch.get('embed_dims') == arch['embed_dims'] and isinstance(told_arch.get('num_heads'), int):
        config['arch'] = {**arch, 'num_heads': told_arch['num_heads']}
    if num_heads is not None:
        config['arch'] = {**arch, 'num_heads': num_heads}
    if isinstance(told.get('norm_eps'), float):
        config['norm_eps'] = told['norm_eps']
    if config.get('pos_embed') != 'absolute' and told.get('pos_embed', 'absolute') != 'absolute':
        config['pos_embed'] = told['pos_embed']
    return config


def _check_heads(config: Mapping[str, Any], num_heads: int) -> None:
    arch = config.get('arch', {})
    heads, dims = arch.get('num_heads'), arch.get('embed_dims')
    if not isinstance(heads, int):
        raise CheckpointError(
            'num_heads is for plain transformers, whose parameters do not tell it; leave it out for this file.'
        )
    if config.get('relative_bias') is not None and heads != num_heads:
        raise CheckpointError(f'The tables of relative bias are those of {heads} heads, not of num_heads={num_heads}.')
    if num_heads < 1 or dims % num_heads:
        raise CheckpointError(f'{dims} channels cannot be divided among num_heads={num_heads}.')


def told_grid(checkpoint: Mapping[str, Any], ours: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Rows and columns of patches that a file tells, if its weights fit them; None else, and for a Swin transformer.

    Args:
        checkpoint: What was read from the file.
        ours: Its weights under our names.
    """
    backbone, size = first_backbone(ours), _told(checkpoint).get('img_size')
    if is_swin(backbone) or 'patch_embed.projection.weight' not in backbone:
        return None
    sides = [size, size] if isinstance(size, int) else size
    if not isinstance(sides, (list, tuple)) or [type(side) for side in sides] != [int, int]:
        return None
    patch = backbone['patch_embed.projection.weight'].shape[-1]
    grid = sides[0] // patch, sides[1] // patch
    return grid if min(grid) > 0 and fits_grid(backbone, grid) else None


def _told(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of our backbone, by whoever tells any."""
    meta = checkpoint.get('meta') if isinstance(checkpoint.get('meta'), Mapping) else {}
    stored = _parsed(meta.get('config'))
    models = [_parsed(meta.get('backbone')), _backbone(stored), _backbone(model_config_of(checkpoint)), _ours(stored)]
    return next((model for model in models if model), {})


def _parsed(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _backbone(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The backbone of an algorithm's config."""
    model = config.get('model')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    return backbone if isinstance(backbone, Mapping) else {}


def _ours(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a ``config.json`` of Hugging Face says, in our words."""
    if 'model_type' not in config:
        return {}
    defaults = {'hidden_size': 768, 'num_attention_heads': 12}
    dims, heads = (config.get(key, default) for key, default in defaults.items())
    eps = config.get('layer_norm_eps', 1e-6 if 'dinov2' in str(config['model_type']) else 1e-12)
    arch = {'embed_dims': dims, 'num_heads': heads}
    return {'arch': arch, 'norm_eps': float(eps), 'img_size': config.get('image_size', 224), 'pos_embed': None}
