"""How BEiT's models start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mim_plugin.checkpoints.formats.beit import official_name
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.beit_model import classifier_config
from mim_plugin.testing.golden.handlers.beit_step import build_beit
from mim_plugin.testing.golden.handlers.dense import dense_model

__all__ = ['beit_init']

_TABLES = {'use_rel_pos_bias': False, 'use_shared_rel_pos_bias': False}


def beit_init(case: Case) -> Answers:
    """Build the four models and compare every parameter with its stored law."""
    settings = {**_TABLES, **case.settings}
    settings['init_scale'] = settings.get('classifier_init_scale', 0.001)
    segmentation = settings | settings['segmentation']
    models = {
        'masked_image_modeling': build_beit(settings | settings['masked_image_modeling']),
        'classifier': MODELS.build(classifier_config(settings | settings['classifier'])),
        'segmentation_backbone_constructed': dense_model(segmentation, init='beit_finetune'),
        # There the toolbox draws every linear map anew and does not rescale any, which is iBOT's start.
        'segmentation_backbone_after_init_weights': dense_model(segmentation, init='ibot'),
    }
    return Answers(facts={key: _rule(model) for key, model in models.items()})


def _rule(model: nn.Module) -> Callable[[Mapping[str, Any]], bool]:
    params = {official_name(name): p.detach() for name, p in model.named_parameters()}

    def fits(laws: Mapping[str, Any]) -> bool:
        return params.keys() == laws.keys() and all(_obeys(params[name], law) for name, law in laws.items())

    return fits


def _obeys(values: Tensor, law: Mapping[str, Any]) -> bool:
    if list(values.shape) != law['shape']:
        return False
    if law['dist'] == 'constant':
        return bool((values == torch.tensor(law['value'], dtype=values.dtype)).all())
    spread = values.square().mean().sqrt().item()
    # The cut is met exactly only in the real numbers: a draw at it may round beyond.
    within = values.abs().max().item() <= law['max_abs'] * (1 + 1e-6)
    return within and abs(spread / law['sample_std'] - 1) <= law['rel_tol_of_std']
