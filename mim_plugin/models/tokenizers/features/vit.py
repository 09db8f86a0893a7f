"""Patch features of a vision transformer of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mim_plugin.models.tokenizers.features.base import FeatureGrid, channel_statistics
from mim_plugin.registry import MODELS

__all__ = ['ViTFeatures']


@MODELS.register_module()
class ViTFeatures(FeatureGrid):
    """Patch tokens of one block of a ``MIMVisionTransformer``.

    Args:
        backbone: Config of the transformer; its ``out_indices`` chooses the block, the last by default.
        checkpoint: Any file that :func:`mim_plugin.checkpoints.load_pretrained` knows: trained here, or
            official ones of iBOT and DINO.
        part: 'teacher' or 'student', of a file that holds both.
        l2_norm: Scale every feature vector to length 1, so that k-means compares directions.
        mean: Mean a channel in grey values, as in training of the checkpoint.
        std: Standard deviation a channel in grey values.
    """

    def __init__(
        self,
        backbone: dict,
        checkpoint: str | None = None,
        part: str = 'teacher',
        l2_norm: bool = True,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__(checkpoint)
        self.part, self.l2_norm = part, l2_norm
        self.statistics = {'mean': list(mean), 'std': list(std)}
        # Not `backbone`: that is the name of the network which follows the student in online tokenizers.
        self.encoder = MODELS.build({'type': 'MIMVisionTransformer', **backbone, 'out_type': 'featmap'})
        self.dims, self.stride = self.encoder.embed_dims, backbone.get('patch_size', 16)
        self.register_buffer('mean', channel_statistics(mean), persistent=False)
        self.register_buffer('std', channel_statistics(std), persistent=False)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {'blocks': self.encoder.out_indices, 'l2_norm': self.l2_norm, **self.statistics}

    def load_checkpoint(self, checkpoint: str) -> None:
        """See the base class."""
        from mim_plugin.checkpoints import load_pretrained

        load_pretrained(self.encoder, checkpoint, part=self.part)

    def forward(self, images: Tensor) -> Tensor:
        """See the base class."""
        self.grid_size(images.shape[2:])
        features = self.encoder((images - self.mean) / self.std)[-1].permute(0, 2, 3, 1)
        return F.normalize(features, dim=-1) if self.l2_norm else features
