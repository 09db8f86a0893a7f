"""Backbones of dense tasks: a plain transformer and a pyramid of its maps."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats import beit
from mim_plugin.models.layers import LayerScale
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers import beit_model, ibot_model

__all__ = [
    'DenseModel',
    'beit_seg_backbone',
    'dense_configs',
    'dense_model',
    'ibot_dense_backbone',
    'ibot_dense_model',
    'set_batch_norm',
]


class DenseModel(nn.Module):
    """Backbone and neck, named and called as in a segmenter or detector.

    Args:
        backbone: Config of the backbone.
        neck: Config of the neck, if there is one.
    """

    def __init__(self, backbone: dict, neck: dict | None) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of all levels."""
        maps = self.backbone(images)
        return maps if self.neck is None else self.neck(maps)


def dense_configs(settings: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configs of backbone and pyramid of BEiT's segmentation backbone of a case."""
    changes = {'final_norm': 'none', 'out_indices': settings.get('out_indices', -1), **changes}
    if settings.get('layer_scale_init') == 0:
        changes['layer_scale'] = 1.0  # here a scale that starts at zero is a scale
    return beit_model.backbone_config(settings, **changes), _neck(settings)


def dense_model(settings: dict[str, Any], **changes: Any) -> DenseModel:
    """BEiT's segmentation backbone of a case."""
    model = DenseModel(*dense_configs(settings, **changes))
    if settings.get('layer_scale_init') == 0:
        for module in model.modules():
            if isinstance(module, LayerScale):
                nn.init.zeros_(module.weight)
    return model


def ibot_dense_model(settings: dict[str, Any]) -> DenseModel:
    """iBOT's backbone for segmentation or detection of a case."""
    patch = settings['patch_size']
    size = tuple(side // patch * patch for side in settings['backbone_img_size'])  # whole patches, as published
    backbone = ibot_model.backbone_config(settings | {'img_size': size * (2 // len(size))})
    backbone['final_norm'] = 'all' if settings['out_with_norm'] else 'none'
    backbone['out_indices'] = settings['out_indices']
    return DenseModel(backbone, _neck(settings) if settings['with_fpn'] else None)


def _neck(settings: dict[str, Any]) -> dict[str, Any]:
    return {'type': 'FeaturePyramid', 'in_channels': settings['embed_dim'], 'patch_size': settings['patch_size']}


def beit_seg_backbone(case: Case) -> Answers:
    """Maps in both modes, running statistics, and gradients of BEiT's backbone."""
    settings = case.settings
    images = _whole_patches(case.inputs['images'], settings)
    model = dense_model(settings)
    load_pretrained(model, {'model': case.weights['backbone']}, logger=None)
    set_batch_norm(model, settings)
    outputs = {f'eval/level{i}': level for i, level in enumerate(model.eval()(images))}
    levels = model.train()(images)
    outputs |= {f'train/level{i}': level for i, level in enumerate(levels)}
    outputs['loss'] = sum(level.square().mean() for level in levels)
    outputs['loss'].backward()
    outputs |= beit_model.official_gradients(model)
    return Answers(outputs | _running_statistics(model))


def ibot_dense_backbone(case: Case) -> Answers:
    """Maps of iBOT's backbone for segmentation or detection, and running statistics."""
    model = ibot_dense_model(case.settings).train(case.settings['training'])
    load_pretrained(model, {'state_dict': case.weights['backbone']}, logger=None)
    outputs = {}
    for name, image in case.inputs.items():
        size = name.removeprefix('image_')
        outputs |= {f'feature{i}_{size}': level for i, level in enumerate(model(_whole_patches(image, case.settings)))}
    facts = {
        'state_dict_keys': [beit.official_name(name) for name in model.state_dict()],
        'frozen_parameters': [beit.official_name(name) for name, p in model.named_parameters() if not p.requires_grad],
    }
    return Answers(outputs | _running_statistics(model), facts)


def _whole_patches(images: Tensor, settings: dict[str, Any]) -> Tensor:
    """Images without what is left of a side after its last whole patch: the published models leave it out."""
    height, width = (side // settings['patch_size'] * settings['patch_size'] for side in images.shape[2:])
    return images[..., :height, :width]


def _running_statistics(model: nn.Module) -> dict[str, Tensor]:
    return {f'after/{beit.official_name(name)}': value for name, value in model.named_buffers()}


def set_batch_norm(model: nn.Module, settings: dict[str, Any]) -> None:
    """Set epsilon and momentum of every batch norm as a case says."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eps = settings.get('batchnorm_eps', module.eps)
            module.momentum = settings.get('batchnorm_momentum', module.momentum)
