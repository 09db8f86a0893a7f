"""A whole segmenter: BEiT's backbone under the heads of mmsegmentation."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import Tensor

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.dense import dense_configs, set_batch_norm
from mim_plugin.testing.golden.handlers.unknown import UnknownCase

__all__ = ['beit_seg_upernet']


def beit_seg_upernet(case: Case) -> Answers:
    """Scores, losses and prediction of UPerNet with its auxiliary head, in evaluation mode."""
    if find_spec('mmseg') is None:
        raise UnknownCase('the heads of this kind are those of mmsegmentation; install it (docs/installation.md)')
    settings, images = case.settings, case.inputs['images']
    model = MODELS.build(_segmentor(settings)).eval()
    set_batch_norm(model, settings)
    load_pretrained(model, {'state_dict': case.weights['segmentor']}, logger=None)
    maps, samples = model.extract_feat(images), _samples(case.inputs['labels'])
    losses, predictions = model.loss(images, samples), model.predict(images)
    return Answers(
        {
            'decode_logits': model.decode_head(maps),
            'aux_logits': model.auxiliary_head(maps),
            'upsampled_logits': _stacked(predictions, 'seg_logits'),
            'loss_decode': losses['decode.loss_ce'],
            'loss_aux': losses['aux.loss_ce'],
            'prediction': _stacked(predictions, 'pred_sem_seg').squeeze(1),
        }
    )


def _segmentor(settings: dict[str, Any]) -> dict[str, Any]:
    width, classes = settings['embed_dim'], settings['num_classes']
    backbone, neck = dense_configs(settings)
    head = {
        'num_classes': classes,
        'ignore_index': settings.get('ignore_index', 255),
        'align_corners': settings.get('align_corners', False),
        'norm_cfg': {'type': 'BN'},
    }
    return {
        '_scope_': 'mmseg',
        'type': 'EncoderDecoder',
        'backbone': {**backbone, 'type': f'mim_plugin.{backbone["type"]}'},
        'neck': {**neck, 'type': f'mim_plugin.{neck["type"]}'},
        'decode_head': {
            'type': 'UPerHead',
            'in_channels': [width] * 4,
            'in_index': [0, 1, 2, 3],
            'channels': settings['decode_channels'],
            'pool_scales': tuple(settings.get('pool_scales', (1, 2, 3, 6))),
            'loss_decode': {'type': 'CrossEntropyLoss', 'loss_weight': 1.0},
            **head,
        },
        'auxiliary_head': {
            'type': 'FCNHead',
            'in_channels': width,
            'in_index': settings.get('aux_in_index', 2),
            'channels': settings['aux_channels'],
            'num_convs': settings.get('aux_num_convs', 1),
            'kernel_size': settings.get('aux_kernel', 3),
            'concat_input': settings.get('aux_concat_input', False),
            'loss_decode': {'type': 'CrossEntropyLoss', 'loss_weight': 0.4},
            **head,
        },
        'test_cfg': ConfigDict(mode='whole'),
    }


def _samples(labels: Tensor) -> list:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    return [SegDataSample(gt_sem_seg=PixelData(data=image_labels[None])) for image_labels in labels.long()]


def _stacked(predictions: list, field: str) -> Tensor:
    return torch.stack([getattr(sample, field).data for sample in predictions])
