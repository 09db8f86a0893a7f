"""Parameter groups of BEiT, and those of iBOT's tasks after pretraining."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from mim_plugin.checkpoints.formats import beit, ibot, swin
from mim_plugin.checkpoints.formats.names import rename
from mim_plugin.engine.optim import LayerDecayOptimWrapperConstructor, LayerDepths, MIMOptimWrapperConstructor
from mim_plugin.engine.optim.layer_decay import NO_DECAY
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.beit_model import classifier_config
from mim_plugin.testing.golden.handlers.beit_step import NO_DECAY as PRETRAIN_NO_DECAY
from mim_plugin.testing.golden.handlers.beit_step import build_beit
from mim_plugin.testing.golden.handlers.classification import ibot_classifier_config
from mim_plugin.testing.golden.handlers.dense import dense_model, ibot_dense_model
from mim_plugin.testing.golden.handlers.ibot_model import backbone_config

__all__ = ['ibot_layer_groups', 'param_groups_beit']

Groups = list[dict[str, Any]]
Name = Callable[[str], str]


def param_groups_beit(case: Case) -> Answers:
    """Weight decay and share of the learning rate of every parameter, in pretraining and the tasks after it."""
    settings = {'use_abs_pos_emb': True, 'layer_scale_init': 0.1, 'vocab_size': 8, 'num_classes': 4, **case.settings}
    shared, own = {'use_shared_rel_pos_bias': True}, {'use_rel_pos_bias': True}
    rate, dense_rate = settings['layer_decay'], settings['segmentation_layer_decay_rate']

    pretraining = build_beit(settings | shared)
    constructor = MIMOptimWrapperConstructor(_wrapper_config(settings), {'no_decay': PRETRAIN_NO_DECAY})
    mean_pooling = MODELS.build(classifier_config(settings | own | {'use_mean_pooling': True}))
    more = ('attn.relative_position_bias_table',) if settings['no_decay_on_relative_tables_in_block_rel_case'] else ()
    mean_groups = _layer_groups(mean_pooling, settings, layer_decay_rate=rate, no_decay=(*NO_DECAY, *more))
    cls_pooling = MODELS.build(classifier_config(settings | shared | {'use_mean_pooling': False}))
    segmenter = dense_model({'patch_size': 16, **settings, **own})
    _add_beit_heads(segmenter, settings['embed_dim'])
    dense_groups = _layer_groups(segmenter, settings, layer_decay_rate=dense_rate, originals=True)
    facts = {
        'pretrain': _by_name(pretraining, constructor(pretraining).optimizer.param_groups, beit.official_name),
        'finetune_block_rel_mean_pool': _by_name(mean_pooling, mean_groups, beit.official_name),
        'finetune_groups_count': len(mean_groups),
        'finetune_shared_rel_cls': _by_name(
            cls_pooling, _layer_groups(cls_pooling, settings, layer_decay_rate=rate), beit.official_name
        ),
        'layer_scale_values': [rate ** (settings['depth'] + 1 - i) for i in range(settings['depth'] + 2)],
        'segmentation': _by_name(segmenter, dense_groups, _dense_name, ('weight_decay', 'lr_scale', 'lr')),
        'segmentation_group_names': [group['name'] for group in dense_groups],
    }
    return Answers(facts=facts)


def ibot_layer_groups(case: Case) -> Answers:
    """Groups and depths of iBOT's fine-tuning, segmentation or detection."""
    settings = case.settings
    if settings['what'] == 'finetune':
        model, name, originals = _ibot_classifier(settings), _finetune_name(settings), False
    else:
        model, name, originals = _ibot_dense_model(settings), _dense_name, True
    options = {'layer_decay_rate': settings['layer_decay'], 'originals': originals}
    groups = _layer_groups(model, settings, **options)
    depths, official = LayerDepths(model), {ours: name(ours) for ours, _ in model.named_parameters()}
    count = depths(next(iter(official)))[1]
    others = case.expected.get('layer_id_of_other_names', {})
    facts = {
        'groups': _groups_rule(groups, {p: official[ours] for ours, p in model.named_parameters()}),
        'layer_scales': [settings['layer_decay'] ** (count - 1 - i) for i in range(count)],
        'skip_list': _exceptions_rule(official.values()),
        'layer_id_of_parameter': {theirs: depths(ours)[0] for ours, theirs in official.items()},
        'layer_id_of_other_names': {theirs: _depth_of_official(model, theirs, originals) for theirs in others},
    }
    return Answers({'dummy': torch.zeros(1)}, facts)


def _wrapper_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    lr = settings['base_lr'] if 'base_lr' in settings else settings.get('lr', 1.0)
    return {'optimizer': {'type': 'AdamW', 'lr': lr, 'weight_decay': settings['weight_decay']}}


def _layer_groups(model: nn.Module, settings: Mapping[str, Any], **options: Any) -> Groups:
    config = _wrapper_config(settings)
    if options['layer_decay_rate'] == 1 and not options.get('originals'):
        # The published fine-tuning then knows no layers.
        no_decay = {'no_decay': options.get('no_decay', NO_DECAY)}
        groups = MIMOptimWrapperConstructor(config, no_decay)(model).optimizer.param_groups
        return [{'name': None, 'lr_scale': 1.0, **group} for group in groups]
    return LayerDecayOptimWrapperConstructor(config, options)(model).optimizer.param_groups


def _by_name(
    model: nn.Module, groups: Groups, name: Name, keys: tuple[str, ...] = ('weight_decay', 'lr_scale')
) -> dict[str, dict[str, float]]:
    names = {p: name(ours) for ours, p in model.named_parameters()}
    plain = {'lr_scale': 1.0}  # of groups that know no layers
    return {names[p]: {key: (plain | group)[key] for key in keys} for group in groups for p in group['params']}


def _dense_name(name: str) -> str:
    """Official name in a segmenter or detector, where the pyramid is a part of the backbone."""
    official = beit.official_name(name)
    return name if official is None else f'backbone.{official}'


def _finetune_name(settings: Mapping[str, Any]) -> Name:
    if settings['arch'] != 'swin':
        return beit.official_name
    return lambda name: swin.official_name(name.removeprefix('backbone.')) or name


def _ibot_classifier(settings: dict[str, Any]) -> nn.Module:
    if settings['arch'] == 'swin':
        backbone = backbone_config({'patch_size': 4, **settings})
        return MODELS.build({'type': 'MIMClassifier', 'backbone': backbone, 'num_classes': settings['num_classes']})
    return MODELS.build(ibot_classifier_config(settings))


def _ibot_dense_model(settings: dict[str, Any]) -> nn.Module:
    model, width = ibot_dense_model(settings), settings['embed_dim']
    model.decode_head = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width))
    return model


def _add_beit_heads(model: nn.Module, width: int) -> None:
    """Stand-ins with names and ranks of a segmenter's heads."""
    model.decode_head, model.auxiliary_head = nn.Module(), nn.Module()
    model.decode_head.conv_seg = nn.Conv2d(width, 4, 1)
    model.decode_head.bottleneck = nn.Sequential(nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width))
    model.auxiliary_head.conv_seg = nn.Conv2d(width, 4, 1)


def _groups_rule(groups: Groups, names: Mapping[nn.Parameter, str]) -> Callable[[list[dict]], bool]:
    """Whether stored groups are ours, whatever the order of groups and of what is in them."""

    def key(group: Mapping[str, Any]) -> tuple[float, float]:
        return round(group['weight_decay'], 12), round(group['lr_scale'], 12)

    ours = {key(group): group for group in groups}

    def fits(stored: list[dict]) -> bool:
        return len(stored) == len(ours) == len(groups) and all(
            (mine := ours.get(key(group))) is not None
            and {names[p] for p in mine['params']} == set(group['parameters'])
            and len(mine['params']) == len(group['parameters'])
            and mine['name'] == group.get('name', mine['name'])
            and abs(mine['lr'] - group.get('lr', mine['lr'])) < 1e-12
            for group in stored
        )

    return fits


def _exceptions_rule(names: Any) -> Callable[[list[str]], bool]:
    """Whether stored exceptions from weight decay are ours, as far as the model has such names."""
    present = set(names)
    return lambda stored: set(stored) & present == set(NO_DECAY) & present


def _depth_of_official(model: nn.Module, theirs: str, dense: bool) -> int:
    """Depth of a parameter that need not exist. iBOT's rule does not know the name of its own mask token."""
    depths = LayerDepths(model, originals=theirs.endswith('masked_embed'))
    if dense and not theirs.startswith('backbone.'):
        return depths(theirs)[0]
    name = theirs.removeprefix('backbone.')
    ours = rename(name, (*beit.TABLE, *((left, f'backbone.{right}') for left, right in ibot.BACKBONE_NAMES)))
    return depths(ours or f'backbone.{name}')[0]
