"""Loading BEiT's checkpoints at another resolution."""

from __future__ import annotations

from typing import Any

from torch import nn

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats import beit
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.beit_model import backbone_config

__all__ = ['beit_relpos_resize']

_PATCH = 4  # no matter here


def beit_relpos_resize(case: Case) -> Answers:
    """Positions and tables of a fine-tuning backbone that loaded a file of another grid.

    A case has the file's positions and tables only; a model of its grid lends the rest of a whole file.
    """
    settings = case.settings
    bias = 'shared' if settings['shared_source_table'] else 'per_block'
    source, target = _backbone(settings, 'source_grid', bias), _backbone(settings, 'target_grid', 'per_block')
    file = beit.to_official(_below_backbone(source), tuple(settings['source_grid']))
    load_pretrained(target, {'model': file['model'] | case.weights['source']}, logger=None)
    return Answers({beit.official_name(name): value for name, value in _below_backbone(target).items()})


def _backbone(settings: dict[str, Any], key: str, bias: str) -> nn.Module:
    height, width = settings[key]
    # Tables do not depend on the width of the model, which must be a multiple of the heads.
    dims = settings['embed_dim'] if settings['absolute_positions'] else settings['num_heads']
    config = backbone_config(
        {**settings, 'embed_dim': dims},
        img_size=(height * _PATCH, width * _PATCH),
        patch_size=_PATCH,
        pos_embed='absolute' if settings['absolute_positions'] else None,
        relative_bias=bias,
    )
    return MODELS.build(config)


def _below_backbone(model: nn.Module) -> dict:
    return {f'backbone.{name}': value for name, value in model.state_dict().items()}
