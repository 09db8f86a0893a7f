"""What is kept of a projection head when few labels are at hand."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.registry import MODELS

__all__ = ['ProjectionLayer']

NAME = 'head.mlp.0'


@MODELS.register_module()
class ProjectionLayer(BaseModule):
    """The first hidden layer of a pretrained projection head, between a backbone and a classifier.

    A linear layer and a GELU. Fine-tuning with few labels is better from there than from the backbone's output.

    Args:
        in_channels: Width D of the backbone.
        hidden_dim: Width of the layer, that of the head's MLP; the classifier's ``in_channels``.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)``, with ``part='student'`` if wanted: a file of iBOT
            or DINO with its head, that is a training checkpoint, not a backbone alone.

    Raises:
        ConfigError: A width below one.

    Source: iBOT (arXiv 2111.07832), section 4.1 and appendix C, after SimCLR v2 (arXiv 2006.10029), section 2.
    """

    def __init__(self, in_channels: int, hidden_dim: int = 2048, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        if in_channels < 1 or hidden_dim < 1:
            raise ConfigError(
                f'ProjectionLayer got in_channels={in_channels}, hidden_dim={hidden_dim}; give two positive widths.'
            )
        self.layer = nn.Linear(in_channels, hidden_dim)
        nn.init.trunc_normal_(self.layer.weight, std=0.02)
        nn.init.zeros_(self.layer.bias)
        self.act = nn.GELU()

    def init_weights(self) -> None:
        """Take the layer from the file of ``init_cfg``, if there is one.

        Raises:
            CheckpointError: The file has no such layer, one of other widths, or one that a norm follows.
        """
        if not isinstance(self.init_cfg, dict) or self.init_cfg['type'] != 'Pretrained':
            super().init_weights()
            return
        from mim_plugin.checkpoints import contents_of

        source, part = self.init_cfg['checkpoint'], self.init_cfg.get('part', 'teacher')
        if part not in ('teacher', 'student'):
            raise ConfigError(f"model.neck.init_cfg.part={part!r} is unknown; use 'teacher' or 'student'.")
        contents = contents_of(CheckpointLoader.load_checkpoint(source, map_location='cpu', logger='silent'))
        self._load(getattr(contents, part), source)
        if hasattr(self, '_params_init_info'):  # what mmengine logs about each parameter
            update_init_info(self, f'Loaded from {NAME} of {source}')
        self._is_init = True

    @torch.no_grad()
    def _load(self, network: Mapping[str, Tensor], source: str) -> None:
        if f'{NAME}.weight' not in network:
            raise CheckpointError(
                f'{source} has no hidden layer of a projection head ({NAME}); name a training checkpoint, which has '
                'the head beside the backbone, in model.neck.init_cfg.checkpoint.'
            )
        if 'head.mlp.1.weight' in network:
            raise CheckpointError(
                f'The projection head of {source} has a norm after its first layer, which ProjectionLayer has not; '
                'use a run with norm=None in its head.'
            )
        for key, parameter in self.layer.named_parameters():
            value = network[f'{NAME}.{key}']
            if value.shape != parameter.shape:
                raise CheckpointError(
                    f'{NAME}.{key} of {source} is {tuple(value.shape)}, that of the model {tuple(parameter.shape)}; '
                    'set in_channels and hidden_dim of model.neck to the widths of the pretrained head.'
                )
            parameter.copy_(value)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Map each ``(B, D)`` to ``(B, hidden_dim)``."""
        return tuple(self.act(self.layer(feature)) for feature in features)
