"""Recipes with published weights take files with the published names and shapes, and fill every parameter.

The lists are derived from the published code at full size, not from the files. Nothing is allocated.
"""

import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.apis.config_errors import read_config
from mim_plugin.apis.models import config_path, published_weights
from mim_plugin.checkpoints import load_pretrained

GOLDEN = Path(__file__).parents[1] / 'golden'
OF_BEIT = {
    'beit_vit-base-p16_16xb128-coslr-150e_in22k': ('pretrain', 'beit_base_patch16_224_pt22k '),
    'beit_vit-large-p16_16xb128-coslr-150e_in22k': ('pretrain', 'beit_large_patch16_224_pt22k '),
    'beit-abs_vit-base-p16_16xb128-coslr-800e_in1k': ('pretrain', 'paper form base'),
    'beit_vit-base-p16_8xb128-coslr-100e_in1k': ('finetune', 'beit_base_patch16_224_pt22k_ft1k '),
    'beit-ft22k_vit-base-p16_8xb64-coslr-30e_in1k': ('finetune', 'beit_base_patch16_224_pt22k_ft1k '),
    'beit-ft22k_vit-base-p16_8xb32-coslr-30e_in1k-384x384': ('finetune', 'beit_base_patch16_384_pt22k_ft22kto1k '),
    'beit_vit-base-p16_16xb256-coslr-90e_in22k': ('finetune', 'beit_base_patch16_224_pt22k_ft22k '),
    'beit-ft22k_vit-base-p16_upernet_8xb2-160k_ade20k-640x640': ('seg', 'upernet_beit_base_640'),
}
OF_IBOT = {
    'ibot_vit-small-p16_16xb64-coslr-800e_in1k': 'vits16',
    'ibot_swin-tiny-w7_16xb64-coslr-300e_in1k': 'swint7',
    'ibot_swin-tiny-w14_40xb26-coslr-300e_in1k': 'swint14',
    'dino_vit-small-p16_16xb64-coslr-800e_in1k': 'vits16',  # DINO's network is the same
}


def expected(case):
    return json.loads((GOLDEN / f'keys_{case}/case.json').read_text())['expected']


def without_memory(shape, dtype):
    return torch.empty(shape, dtype=getattr(torch, dtype), device='meta')


def official_beit(case, beginning):
    (keys,) = [
        entry['keys'] for title, entry in expected(f'beit_{case}')['models'].items() if title.startswith(beginning)
    ]
    parts = {name: re.fullmatch(r'(\w+)\[([\d,]*)\]', text).groups() for name, text in keys.items()}
    return {
        name: without_memory(tuple(map(int, filter(None, s.split(',')))), dtype) for name, (dtype, s) in parts.items()
    }


def load(name, checkpoint):
    assert published_weights(name)
    cfg = read_config(str(config_path(name)))
    scope = cfg.get('default_scope', 'mim_plugin')
    if scope != 'mim_plugin':
        pytest.importorskip(scope)
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
        model = MODELS.build(cfg.model)
    return load_pretrained(model, checkpoint, logger=None)


@pytest.mark.parametrize('name', OF_BEIT)
def test_beit(name):
    key = 'state_dict' if OF_BEIT[name][0] == 'seg' else 'model'
    report = load(name, {key: official_beit(*OF_BEIT[name])})
    assert not report.kept and not report.unused and not report.resized and len(report.loaded) > 160


@pytest.mark.parametrize('name', OF_IBOT)
def test_backbone_of_ibot_and_dino(name):
    """The small files: ``{'state_dict': names without prefix}``; head and mask token are not in them."""
    tensors = {key: without_memory(shape, dtype) for key, shape, dtype in expected(f'ibot_{OF_IBOT[name]}')['teacher']}
    backbone = {key.removeprefix('backbone.'): value for key, value in tensors.items() if key.startswith('backbone.')}
    report = load(name, {'state_dict': backbone})
    assert not report.unused and not report.resized and len(report.loaded) >= 150
    assert all(key == 'backbone.mask_token' or key.startswith(('head.', 'loss_module.')) for key in report.kept)
