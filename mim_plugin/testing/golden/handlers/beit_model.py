"""BEiT's networks: configs of cases, the classifier, the segmentation backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats.beit import official_name
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case

__all__ = ['AS_IT_IS', 'backbone_config', 'beit_finetune', 'classifier_config', 'load', 'official_gradients']

# The images of a case are normalised already.
AS_IT_IS = {'type': 'MIMDataPreprocessor', 'mean': (0, 0, 0), 'std': (1, 1, 1)}


def backbone_config(settings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Config of the ViT of a case; options that are no fields of it come as ``changes``."""
    width = settings['embed_dim']
    tables = bool(settings.get('use_shared_rel_pos_bias')), bool(settings.get('use_rel_pos_bias'))
    config = {
        'type': 'MIMVisionTransformer',
        'arch': {
            'embed_dims': width,
            'num_layers': settings['depth'],
            'num_heads': settings['num_heads'],
            'feedforward_channels': int(width * settings.get('mlp_ratio', 4)),
        },
        'img_size': tuple(settings.get('img_size', (32, 32))),
        'patch_size': settings.get('patch_size', 16),
        'in_channels': settings.get('in_chans', 3),
        'pos_embed': 'absolute' if settings.get('use_abs_pos_emb') else None,
        'relative_bias': {(1, 0): 'shared', (0, 1): 'per_block', (1, 1): 'both', (0, 0): None}[tables],
        'qkv_bias': 'qv' if settings.get('qkv_bias', True) else None,
        'layer_scale': settings.get('layer_scale_init') or 0.0,
        'drop_path_rate': settings.get('drop_path_rate', 0.0),
        'norm_eps': settings.get('layer_norm_eps', 1e-6),
    }
    return config | changes


def classifier_config(settings: dict[str, Any]) -> dict[str, Any]:
    """Config of the classifier of a case."""
    backbone = backbone_config(settings, mean_pooling=settings['use_mean_pooling'], init='beit_finetune')
    return {
        'type': 'MIMClassifier',
        'backbone': backbone,
        'num_classes': settings['num_classes'],
        'label_smoothing': settings['smoothing'] if settings.get('criterion') == 'label_smoothing' else 0.0,
        'init_scale': settings.get('init_scale', 0.001),
        'data_preprocessor': AS_IT_IS,
    }


def load(model: nn.Module, case: Case) -> nn.Module:
    """Fill a model with the weights of a case, as with an official file."""
    load_pretrained(model, {'model': case.weights['model']}, logger=None)
    return model


def official_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Gradients under ``grad/`` and the official names."""
    return {f'grad/{official_name(name)}': p.grad for name, p in model.named_parameters() if p.grad is not None}


def beit_finetune(case: Case) -> Answers:
    """Features, scores, loss and gradients of a classifier."""
    settings, images = case.settings, case.inputs['images']
    model = load(MODELS.build(classifier_config(settings)), case).train()
    with torch.no_grad():
        outputs = {'pooled': model.extract_feat(images)}
        for i, tokens in enumerate(model.backbone.intermediate_tokens(images, settings['depth'], norm=False)):
            outputs[f'intermediate/{i}'] = tokens
    outputs['logits'] = model(images)
    outputs['loss'] = model.loss(outputs['logits'], case.inputs['targets'])['loss']
    outputs['loss'].backward()
    return Answers(outputs | official_gradients(model))
