"""What the network of a config computes without any graph, by the code that tests it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS
from torch import Tensor, nn

from mim_plugin.models.data_preprocessor import MIMDataPreprocessor

__all__ = ['eager_features', 'eager_segmentation']

Run = Callable[[Tensor], Sequence[Tensor]]


def eager_features(backbone: nn.Module, preprocessor: dict | None) -> Run:
    """Features of uint8 RGB images, normalised by the config's own preprocessor."""
    built: BaseDataPreprocessor = MODELS.build(preprocessor or dict(type='mim_plugin.MIMDataPreprocessor'))
    built.test_cfg, built.pad_size_divisor = None, 1  # a segmentor's and a detector's padding is not the backbone's
    from_rgb = isinstance(built, MIMDataPreprocessor)

    @torch.no_grad()
    def run(images: Tensor) -> Sequence[Tensor]:
        images = images if from_rgb else images.flip(1)
        return backbone(built(dict(inputs=list(images), data_samples=None))['inputs'])

    return run


def eager_segmentation(model: nn.Module) -> Run:
    """Logits and classes of uint8 RGB images by mmseg's ``test_step``, the whole image at once."""
    from mmseg.structures import SegDataSample

    @torch.no_grad()
    def run(images: Tensor) -> Sequence[Tensor]:
        size = tuple(images.shape[-2:])
        samples = [SegDataSample(metainfo=dict(ori_shape=size, img_shape=size)) for _ in images]
        test_cfg, model.test_cfg = model.test_cfg, Config(dict(mode='whole'))
        try:
            found = model.test_step(dict(inputs=list(images.flip(1)), data_samples=samples))
        finally:
            model.test_cfg = test_cfg
        logits = torch.stack([sample.seg_logits.data for sample in found])
        return logits, torch.cat([sample.pred_sem_seg.data for sample in found]).long()

    return run
