"""Golden: param_groups_beit, param_groups_ibot (finetune, segmentation, detection)."""

import pytest
import torch
from torch import nn

from mim_plugin.engine.optim import MIMOptimWrapper
from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS

ARCH = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=8)
VIT = dict(type='MIMVisionTransformer', arch=ARCH, img_size=32, patch_size=16)


def build(model, optimizer=None, **paramwise):
    config = dict(optimizer=optimizer or dict(type='AdamW', lr=0.1, weight_decay=0.05))
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='LayerDecayOptimWrapperConstructor',
            optim_wrapper_cfg=config,
            paramwise_cfg=dict(layer_decay_rate=0.5, **paramwise),
        )
    )
    return constructor(model)


def rates(model, wrapper):
    names = {p: name for name, p in model.named_parameters()}
    return {names[p]: group['lr'] for group in wrapper.optimizer.param_groups for p in group['params']}


def classifier(**changes):
    return MODELS.build(dict(type='MIMClassifier', backbone=VIT | changes, num_classes=3))


def test_rates_of_a_classifier():
    model = classifier()
    wrapper = build(model)
    assert isinstance(wrapper, MIMOptimWrapper)
    seen = rates(model, wrapper)
    assert seen.keys() == dict(model.named_parameters()).keys()
    depth = {'backbone.cls_token': 0, 'backbone.layers.0.attn.qkv.weight': 1, 'backbone.layers.1.ln1.bias': 2}
    depth |= {'backbone.ln1.weight': 3, 'head.weight': 3}
    assert {name: seen[name] for name in depth} == {name: 0.1 * 0.5 ** (3 - d) for name, d in depth.items()}
    groups = wrapper.optimizer.param_groups
    assert len({group['name'] for group in groups}) == len(groups) == 8
    decayed = {p for group in groups for p in group['params'] if group['weight_decay']}
    assert model.backbone.pos_embed not in decayed and model.head.weight in decayed


def test_frozen_parameters_and_teachers_are_left_out():
    model = MODELS.build(
        dict(
            type='IBOT',
            backbone=VIT | dict(mask_token=True),
            head=dict(type='ProjectionHead', out_dim=8, hidden_dim=8, bottleneck_dim=4),
            tokenizer=dict(type='EMATeacher'),
            loss=dict(type='SelfDistillationLoss'),
        )
    )
    groups = build(model).optimizer.param_groups
    params = [p for group in groups for p in group['params']]
    assert len(params) == len(set(params))
    assert set(params) == {p for p in model.parameters() if p.requires_grad}
    assert rates(model, build(model))['head.mlp.0.weight'] == 0.1


class Wrapper(nn.Module):
    """As a classifier of mmpretrain: it answers for the backbone in it, without taking a prefix."""

    def __init__(self):
        super().__init__()
        self.backbone, self.neck = MODELS.build(VIT), nn.Linear(2, 2)

    def get_layer_depth(self, param_name):
        return self.backbone.get_layer_depth(param_name, 'backbone.')


def test_the_innermost_module_answers():
    model = Wrapper()
    seen = rates(model, build(model))
    assert seen['backbone.layers.0.ln1.weight'] == 0.1 * 0.25 and seen['neck.weight'] == 0.1
    alone = MODELS.build(VIT)
    assert rates(alone, build(alone))['cls_token'] == 0.1 * 0.125


def test_originals():
    model = Wrapper()
    model.backbone.mask_token = nn.Parameter(torch.zeros(1, 1, 8))
    wrapper = build(model, originals=True)
    assert rates(model, wrapper)['backbone.mask_token'] == 0.1
    assert rates(model, build(model))['backbone.mask_token'] == 0.1 * 0.125
    decayed = {p for group in wrapper.optimizer.param_groups for p in group['params'] if group['weight_decay']}
    assert {model.backbone.pos_embed, model.backbone.cls_token} <= decayed


def test_a_schedule_keeps_the_shares():
    wrapper = build(classifier())
    scheduler = PARAM_SCHEDULERS.build(
        dict(type='WarmupCosineLR', eta_min=0.01, warmup=3, end=9, by_epoch=False), default_args=dict(optimizer=wrapper)
    )
    for _ in range(9):
        groups = wrapper.optimizer.param_groups
        peak = groups[-1]['lr']
        assert [group['lr'] for group in groups] == pytest.approx([peak * group['lr_scale'] for group in groups])
        wrapper.optimizer.step()
        scheduler.step()
    assert 0.01 <= peak < 0.02


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(layer_decay=0.5), r"knows the options .* not \['layer_decay'\]"),
        (dict(optimizer=dict(type='AdamW')), 'shares of optimizer.lr'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        build(classifier(), **options)


def test_bad_rate_and_model():
    with pytest.raises(ConfigError, match=r'layer_decay_rate=1.5 is not in \(0, 1\]'):
        OPTIM_WRAPPER_CONSTRUCTORS.build(
            dict(
                type='LayerDecayOptimWrapperConstructor',
                optim_wrapper_cfg=dict(optimizer=dict(type='SGD', lr=1)),
                paramwise_cfg=dict(layer_decay_rate=1.5),
            )
        )
    with pytest.raises(ConfigError, match=r'Linear has no backbone with get_layer_depth\(\)'):
        build(nn.Linear(2, 2))
