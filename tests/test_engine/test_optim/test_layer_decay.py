"""Golden: param_groups_beit, param_groups_ibot (finetune, segmentation, detection)."""

import logging

import pytest
import torch
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mim_plugin.engine.optim import MIMOptimWrapper, layer_decay
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
            paramwise_cfg={'layer_decay_rate': 0.5, **paramwise},
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


def settings(model, wrapper):
    names = {p: name for name, p in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    return {names[p]: (g['name'], g['lr'], g['weight_decay']) for g in groups for p in g['params']}


def test_custom_keys():
    model = classifier(layer_scale=0.1)
    keys = {
        'head': dict(lr_mult=10),
        'backbone.layers.1': dict(lr_mult=0.5),
        'backbone.layers.1.attn.proj': dict(decay_mult=0.2),
        '.cls_token': dict(decay_mult=1.0),
        'layers.0.ffn': dict(),
    }
    seen, usual = settings(model, build(model, custom_keys=keys)), settings(model, build(model))
    assert seen['head.weight'] == ('layer_3_decay_head', 1.0, 0.05)
    assert seen['head.bias'] == ('layer_3_no_decay_head', 1.0, 0)  # the usual rule holds for the decay
    # The longest key that a name has counts, and alone.
    assert seen['backbone.layers.1.ln1.weight'] == ('layer_2_no_decay_backbone.layers.1', 0.025, 0)
    for end in ('weight', 'bias'):
        name, rate, decay = seen[f'backbone.layers.1.attn.proj.{end}']
        assert name == 'layer_2_decay_backbone.layers.1.attn.proj' and (rate, decay) == (0.05, pytest.approx(0.01))
    assert seen['backbone.cls_token'] == ('layer_0_decay', 0.0125, 0.05)
    same = [name for name in usual if not name.startswith(('head', 'backbone.layers.1', 'backbone.cls_token'))]
    assert {name: seen[name] for name in same} == {name: usual[name] for name in same}


def test_custom_keys_are_those_of_mmengine():
    """Rates and decays, with a depth for all, of keys that say both."""
    model = classifier(layer_scale=0.1)
    keys = {
        'attn.qkv': dict(lr_mult=3.0, decay_mult=0.5),
        'layers.1': dict(lr_mult=0.1, decay_mult=0.0),
        'ffn.laye': dict(lr_mult=2.0, decay_mult=0.25),  # as long as the one before, and first by alphabet
        'token': dict(lr_mult=0.5, decay_mult=2.0),
        'e': dict(lr_mult=1.0, decay_mult=1.0),
        's': dict(lr_mult=1.0, decay_mult=1.0),
    }
    keys |= {part: dict(decay_mult=1.0) for part in ('.weight', '.bias')}
    optimizer = dict(type='AdamW', lr=0.1, weight_decay=0.05)
    theirs = DefaultOptimWrapperConstructor(dict(type='OptimWrapper', optimizer=optimizer), dict(custom_keys=keys))(
        model
    ).optimizer
    names = {p: name for name, p in model.named_parameters()}
    expected = {names[g['params'][0]]: (g['lr'], g['weight_decay']) for g in theirs.param_groups}
    ours = build(model, layer_decay_rate=1.0, custom_keys=keys)
    assert {name: pytest.approx(values[1:]) for name, values in settings(model, ours).items()} == expected
    groups = ours.optimizer.param_groups
    assert len({(g['name'][:7], g['lr'], g['weight_decay']) for g in groups}) == len(groups) < len(expected)


def test_keys_that_do_nothing_are_named(monkeypatch):
    lines = []
    monkeypatch.setattr(layer_decay, 'print_log', lambda line, level, **_: lines.append((line, level)))
    build(classifier(), custom_keys={'decode_head': dict(lr_mult=10), 'head': dict(lr_mult=10)})
    assert lines == [("custom_keys ['decode_head'] name no trained parameter.", logging.WARNING)]


def test_a_parameter_with_two_names_is_optimised_once():
    model = classifier()
    model.head_of_ema = model.head
    params = [p for group in build(model).optimizer.param_groups for p in group['params']]
    assert len(params) == len(set(params)) == len(list(model.parameters()))


def test_no_decay_matches_last_parts_of_names():
    model = classifier(relative_bias='per_block')
    table, other = 'backbone.layers.0.attn.relative_position_bias_table', 'backbone.layers.0.attn.proj.weight'
    assert settings(model, build(model))[table][2] == 0.05
    seen = settings(model, build(model, no_decay=('attn.relative_position_bias_table', 'oken', 'pos_embed')))
    assert seen[table][2] == 0 and seen[other][2] == 0.05
    assert seen['backbone.pos_embed'][2] == 0 and seen['backbone.cls_token'][2] == 0.05


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
        (dict(custom_keys=dict(head=10)), r"custom_keys\['head'\]=10 is no dict of"),
        (dict(custom_keys=dict(head=dict(lr=10))), r"custom_keys\['head'\]=.*'lr': 10.* is no dict of .*lr_mult"),
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
    with pytest.raises(ConfigError, match=r'Linear has no backbone with get_layer_depth\(name, prefix\)'):
        build(nn.Linear(2, 2))
