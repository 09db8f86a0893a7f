"""A tiny iBOT, and its checkpoint in the layout of the published files."""

import argparse

import torch

from mim_plugin.checkpoints.formats.ibot import to_official
from mim_plugin.registry import MODELS

BACKBONE = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': 24, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 48},
    'img_size': 32,
    'patch_size': 8,
}


def make_backbone(seed=0, **options):
    torch.manual_seed(seed)
    return MODELS.build({**BACKBONE, **options})


def make_ibot(seed=0, head=None, tokenizer=None, **backbone):
    """Every number differs from every other, also those that start at 0 or 1 and those of both networks."""
    torch.manual_seed(seed)
    head = {'out_dim': 16, 'hidden_dim': 20, 'bottleneck_dim': 8, **(head or {})}
    config = {
        'type': 'IBOT',
        'backbone': {**BACKBONE, 'mask_token': True, **backbone},
        'head': head,
        'tokenizer': tokenizer,
    }
    model = MODELS.build(config)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape))
    return model


def official_file(model, path, **extra):
    args = argparse.Namespace(arch='vit_small', pred_ratio=[0.0, 0.3])
    torch.save({**to_official(model.state_dict()), 'args': args, 'epoch': 800, **extra}, path)
    return path


def assert_same(state, other, names=None):
    for name in names or state:
        assert torch.equal(state[name], other[name]), name
