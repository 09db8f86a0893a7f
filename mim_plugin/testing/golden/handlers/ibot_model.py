"""The networks of iBOT alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats.ibot import head_to_official, official_name
from mim_plugin.models.layers.window_attention import ShiftWindowAttention
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case

__all__ = ['backbone_config', 'head_config', 'ibot_forward', 'ibot_head']


def backbone_config(settings: dict[str, Any]) -> dict[str, Any]:
    """Config of the backbone of a case."""
    common = {
        'img_size': settings['img_size'],
        'patch_size': settings['patch_size'],
        'mask_token': settings.get('has_mask_token', settings.get('use_masked_im_modeling', False)),
        'drop_path_rate': settings.get('drop_path', 0.0),
        'norm_eps': settings.get('norm_eps', 1e-6),
    }
    return common | (_swin if settings.get('arch') == 'swin' else _vit)(settings)


def _vit(settings: dict[str, Any]) -> dict[str, Any]:
    width = settings['embed_dim']
    return {
        'type': 'MIMVisionTransformer',
        'arch': {
            'embed_dims': width,
            'num_layers': settings['depth'],
            'num_heads': settings['num_heads'],
            'feedforward_channels': int(width * settings['mlp_ratio']),
        },
        'pos_interpolation': 'ibot',
        'qkv_bias': 'qkv' if settings.get('qkv_bias', True) else None,
        'layer_scale': settings.get('layer_scale_init') or 0.0,
        'mean_pooling': settings.get('use_mean_pooling', False),
    }


def _swin(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        'type': 'MIMSwinTransformer',
        'arch': {
            'embed_dims': settings['embed_dim'],
            'depths': settings['depths'],
            'num_heads': settings['num_heads'],
        },
        'window_size': settings['window_size'],
        'mlp_ratio': settings.get('mlp_ratio', 4.0),
        'qkv_bias': settings.get('qkv_bias', True),
    }


def head_config(settings: dict[str, Any]) -> dict[str, Any]:
    """Config of the projection head of a case; the fields of a step carry prefixes."""

    def field(name: str, longer: str) -> Any:
        return settings[name] if name in settings else settings[longer]

    norm = field('norm', 'norm_in_head')
    return {
        'type': 'ProjectionHead',
        'out_dim': settings['out_dim'],
        'patch_out_dim': settings['patch_out_dim'],
        'hidden_dim': field('hidden_dim', 'head_hidden_dim'),
        'bottleneck_dim': field('bottleneck_dim', 'head_bottleneck_dim'),
        'num_layers': field('nlayers', 'head_nlayers'),
        # The synchronised kind gives the same numbers in one process.
        'norm': 'bn' if norm == 'syncbn' else norm,
        'act': field('act', 'act_in_head'),
        'norm_last_layer': settings['norm_last_layer'],
        'shared': settings['shared_head'],
    }


def ibot_forward(case: Case) -> Answers:
    """Tokens, attention and intermediate layers for every image of the case."""
    model = MODELS.build(backbone_config(case.settings)).eval()
    load_pretrained(model, {'state_dict': case.weights['backbone']}, logger=None)
    outputs: dict[str, Tensor] = {}
    with torch.no_grad():
        for name, image in case.inputs.items():
            if not name.startswith('image_'):
                continue
            key = name.removeprefix('image_')
            tokens = model.forward_tokens(image, case.inputs.get(f'mask_{key}'))
            # The class token of a ViT, the pooled one of a Swin transformer.
            outputs |= {f'tokens_{key}': tokens, f'cls_{key}': tokens[:, 0], f'pooled_{key}': tokens[:, 0]}
            outputs[f'last_attention_{key}'] = model.attention_maps(image)[-1]
            for i, layer in enumerate(model.intermediate_tokens(image, case.settings['n_last_blocks'])):
                outputs[f'intermediate_{key}_{i}'] = layer
    windows = [[part.window, part.shift] for part in model.modules() if isinstance(part, ShiftWindowAttention)]
    return Answers(outputs, {'block_window_and_shift': windows})


def ibot_head(case: Case) -> Answers:
    """Scores of all tokens and gradients of a head."""
    settings, inputs = case.settings, case.inputs
    head = _load_head(case).train(settings['training'])
    tokens = inputs['tokens'].clone().requires_grad_()
    cls, patch = head(tokens)
    ((cls * inputs['upstream_cls']).sum() + (patch * inputs['upstream_patch']).sum()).backward()

    params = dict(head.named_parameters())
    official = {name: official_name(f'head.{name}').removeprefix('head.') for name in params}
    outputs = {'cls': cls, 'patch': patch, 'grad/input': tokens.grad}
    outputs |= {f'grad/{official[name]}': p.grad for name, p in params.items() if p.grad is not None}
    outputs |= {f'after/{name}': value for name, value in head_to_official(head.state_dict()).items()}
    with torch.no_grad():
        outputs['cls_2d_input'] = _load_head(case).eval()(inputs['vectors'])
    facts = {
        'parameters': list(official.values()),
        'parameters_without_gradient': [official[name] for name, p in params.items() if p.grad is None],
        'state_dict_keys': list(head_to_official(head.state_dict())),
    }
    return Answers(outputs, facts)


def _load_head(case: Case) -> torch.nn.Module:
    head = MODELS.build({**head_config(case.settings), 'in_dim': case.settings['in_dim']})
    load_pretrained(head, {'state_dict': case.weights['head']}, logger=None)
    return head
