"""Layer-wise learning rates under every algorithm, and of the backbones of the toolboxes."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.errors import ConfigError

SIZES = dict(num_layers=2, num_heads=2, feedforward_channels=8)
VIT = dict(
    type='mim_plugin.MIMVisionTransformer',
    arch=dict(embed_dims=8, **SIZES),
    img_size=32,
    patch_size=16,
    mask_token=True,
    relative_bias='per_block',
)
SWIN = dict(
    type='mim_plugin.MIMSwinTransformer',
    arch=dict(embed_dims=4, depths=(2, 2), num_heads=(1, 2)),
    img_size=64,
    window_size=4,
    mask_token=True,
)
THEIR_VIT = dict(type='mmpretrain.VisionTransformer', arch=dict(embed_dims=8, **SIZES), img_size=32, patch_size=16)
HEAD = dict(type='ProjectionHead', out_dim=8, hidden_dim=8, bottleneck_dim=4)


def detector(backbone):
    folder = Path(mmdet.__file__).parent / '.mim' / 'configs' / '_base_' / 'models'
    model = Config.fromfile(folder / 'cascade-mask-rcnn_r50_fpn.py').model
    return {**model, 'backbone': backbone, 'data_preprocessor': None}


def segmentor(backbone):
    head = dict(type='FCNHead', in_channels=8, channels=8, num_convs=1, num_classes=3)
    return dict(type='EncoderDecoder', backbone=backbone, decode_head=head, test_cfg=dict(mode='whole'))


ALGORITHMS = {
    'mmpretrain': lambda backbone: dict(
        type='ImageClassifier', backbone=backbone, head=dict(type='LinearClsHead', num_classes=3, in_channels=8)
    ),
    'mmseg': segmentor,
    'mmdet': detector,
    'classifier': lambda backbone: dict(type='MIMClassifier', backbone=backbone, num_classes=3),
    'beit': lambda backbone: dict(
        type='BEiT', backbone=backbone, tokenizer=dict(type='MeanColorTokenizer', patch_size=16)
    ),
    'ibot': lambda backbone: dict(
        type='IBOT',
        backbone=backbone,
        head=HEAD,
        tokenizer=dict(type='EMATeacher'),
        loss=dict(type='SelfDistillationLoss'),
    ),
}


def build(algorithm, backbone, **paramwise):
    """Model and optimizer as a Runner of the algorithm's toolbox builds them, large ones on a device without memory."""
    scope = algorithm if algorithm.startswith('mm') else 'mim_plugin'
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta' if algorithm == 'mmdet' else 'cpu'):
        model = MODELS.build(ALGORITHMS[algorithm](backbone))
        wrapper = build_optim_wrapper(
            model,
            dict(
                type='OptimWrapper',
                constructor='mim_plugin.LayerDecayOptimWrapperConstructor',
                optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
                paramwise_cfg=dict(layer_decay_rate=0.5, **paramwise),
            ),
        )
    return model, wrapper.optimizer.param_groups


def check(model, groups, depth_of, count):
    """Every trained parameter once, with the rate of its depth, in as few groups as there are."""
    names = {p: name for name, p in model.named_parameters() if p.requires_grad}
    params = [p for group in groups for p in group['params']]
    assert len(params) == len(set(params)) and set(params) == set(names)
    assert len({(g['lr'], g['weight_decay']) for g in groups}) == len({g['name'] for g in groups}) == len(groups)
    for group in groups:
        for name in map(names.get, group['params']):
            assert group['lr'] == 0.5 ** (count - 1 - depth_of(name)), name
            plain = name.endswith(('.bias', 'pos_embed', 'cls_token'))
            assert group['weight_decay'] == (0 if plain or model.get_parameter(name).ndim == 1 else 0.05), name


def vit_depth(name):
    _, _, own = name.partition('backbone.')
    if not name.startswith('backbone.'):
        return 3
    first, *rest = own.split('.')
    if first in ('cls_token', 'pos_embed', 'mask_token', 'patch_embed'):
        return 0
    return int(rest[0]) + 1 if first == 'layers' else 3


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_our_transformer(algorithm):
    model, groups = build(algorithm, VIT)
    check(model, groups, vit_depth, 4)
    seen = {id(p): group['lr'] for group in groups for p in group['params']}
    assert seen[id(model.backbone.mask_token)] == 0.125 and seen[id(model.backbone.layers[1].ln1.weight)] == 0.5


@pytest.mark.parametrize('algorithm', ['mmpretrain', 'mmseg', 'mmdet', 'ibot'])
def test_our_swin(algorithm):
    model, groups = build(algorithm, SWIN)
    count = model.backbone.get_layer_depth('', 'backbone.')[1]
    check(model, groups, lambda name: model.backbone.get_layer_depth(name, 'backbone.')[0], count)
    assert min(group['lr'] for group in groups) == 0.5 ** (count - 1)


@pytest.mark.parametrize('algorithm', ['mmpretrain', 'mmseg', 'classifier'])
def test_a_transformer_of_mmpretrain(algorithm):
    model, groups = build(algorithm, THEIR_VIT)
    check(model, groups, vit_depth, 4)


@pytest.mark.parametrize('algorithm', ['mmpretrain', 'mmseg', 'mmdet', 'ibot'])
def test_keys_and_exceptions_by_name(algorithm):
    keys = {'layers.0.attn': dict(lr_mult=3.0), 'mask_token': dict(decay_mult=0.0)}
    model, groups = build(algorithm, VIT, custom_keys=keys, no_decay=('attn.relative_position_bias_table',))
    seen = {id(p): (group['lr'], group['weight_decay']) for group in groups for p in group['params']}
    attention = model.backbone.layers[0].attn
    assert seen[id(attention.qkv.weight)] == (0.75, 0.05) and seen[id(attention.qkv.bias)] == (0.75, 0)
    assert seen[id(attention.relative_position_bias_table)] == (0.75, 0)
    assert seen[id(model.backbone.mask_token)] == (0.125, 0) and seen[id(model.backbone.pos_embed)] == (0.125, 0.05)


@pytest.mark.parametrize('algorithm', ['mmseg', 'mmdet'])
def test_a_backbone_without_depths_is_named(algorithm):
    with pytest.raises(ConfigError, match=r'has no backbone \(ResNet\) with get_layer_depth'):
        build(algorithm, dict(type='ResNet', depth=18))


def test_a_backbone_whose_size_has_no_depths_is_named():
    with pytest.raises(ConfigError, match='ResNet of this size tells no depths'):
        build('mmpretrain', dict(type='ResNet', depth=18))
    with pytest.raises(ConfigError, match=r'ImageClassifier has no backbone \(VGG\)'):
        build('mmpretrain', dict(type='VGG', depth=11))
    model, groups = build('mmpretrain', dict(type='ResNet', depth=50))
    assert {group['lr'] for group in groups} == {0.5**i for i in range(8)}
    assert sum(len(group['params']) for group in groups) == len(list(model.parameters()))
