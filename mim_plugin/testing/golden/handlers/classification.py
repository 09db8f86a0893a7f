"""iBOT's classifier of fine-tuning: the plain recipe and what its code offers besides."""

from __future__ import annotations

from typing import Any

import torch

from mim_plugin.checkpoints.formats.beit import official_name
from mim_plugin.models.layers import sincos_positions
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.beit_model import classifier_config, load, official_gradients

__all__ = ['ibot_classifier_config', 'ibot_finetune']

POSITIONS = {'learned': 'absolute', 'sincos': 'sincos', 'none': None}


def ibot_classifier_config(settings: dict[str, Any]) -> dict[str, Any]:
    """Config of the classifier of a case of iBOT, whose keys have a bias unlike BEiT's."""
    size = settings['img_size']
    config = classifier_config(
        settings
        | {
            'img_size': (size, size) if isinstance(size, int) else tuple(size),
            'use_rel_pos_bias': settings['rel_pos_bias'],
            'use_shared_rel_pos_bias': settings['shared_rel_pos_bias'],
            'use_mean_pooling': settings['mean_pooling'],
            'layer_norm_eps': settings.get('norm_eps', 1e-6),
        }
    )
    config['backbone'] |= {
        'pos_embed': POSITIONS[settings['abs_pos']],
        'qkv_bias': 'qkv' if settings.get('qkv_bias', True) else None,
    }
    return config


def ibot_finetune(case: Case) -> Answers:
    """Features, scores, and gradients of the scores' product with a given tensor."""
    images = case.inputs['image']
    model = load(MODELS.build(ibot_classifier_config(case.settings)), case).train()
    with torch.no_grad():
        outputs = {'features': model.extract_feat(images)}
    outputs['logits'] = model(images)
    (outputs['logits'] * case.inputs['upstream']).sum().backward()
    if case.settings['abs_pos'] == 'sincos':
        # The table of the model's grid; it is in no state dict.
        vit = model.backbone
        outputs['sincos_table'] = sincos_positions(vit.num_positions, vit.embed_dims, images.device)
    without = [official_name(name) for name, p in model.named_parameters() if p.grad is None]
    return Answers(outputs | official_gradients(model), {'parameters_without_gradient': without})
