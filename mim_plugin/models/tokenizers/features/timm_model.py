"""Features of any model of timm."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.tokenizers.features.base import FeatureGrid
from mim_plugin.registry import MODELS

__all__ = ['TimmFeatures']


@MODELS.register_module()
class TimmFeatures(FeatureGrid):
    """One feature map of a model of ``timm`` (which must be installed): convolutional or transformer.

    Args:
        model: Name of the model, see ``timm.list_models()``.
        out_index: Which of the model's feature maps: a stage of a convolutional network, a block of a transformer.
        checkpoint: File with the model's weights, as timm publishes them; nothing is downloaded.
        l2_norm: Scale every feature vector to length 1, so that k-means compares directions.
        model_options: More arguments for ``timm.create_model``, such as ``dict(img_size=196)``.
    """

    def __init__(
        self,
        model: str,
        out_index: int,
        checkpoint: str | None = None,
        l2_norm: bool = True,
        model_options: dict | None = None,
    ) -> None:
        super().__init__(checkpoint)
        self.name, self.out_index, self.l2_norm = model, out_index, l2_norm
        self.options = dict(model_options or {})
        self.encoder = self._create()
        info = self.encoder.feature_info
        self.dims, self.stride = info.channels()[-1], info.reduction()[-1]
        config = _timm().get_pretrained_cfg(model, allow_unregistered=True)
        self.register_buffer('mean', torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(config.std).view(3, 1, 1), persistent=False)

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {'model': self.name, 'out_index': self.out_index, 'l2_norm': self.l2_norm, **self.options}

    def load_checkpoint(self, checkpoint: str) -> None:
        """See the base class."""
        from mim_plugin.checkpoints import read_checkpoint

        read_checkpoint(checkpoint)  # refuses what is missing, damaged or could run code
        try:
            # timm itself knows the variants of its files, so it makes the model anew from this one: first the whole
            # model, since one of features passes over whatever does not fit.
            source = {'pretrained': True, 'pretrained_cfg_overlay': {'file': checkpoint}}
            _timm().create_model(self.name, **self.options, **source)
            loaded = self._create(**source)
            self.encoder.load_state_dict(loaded.state_dict())
        except (RuntimeError, KeyError) as error:
            raise CheckpointError(
                f'{checkpoint} does not fit the timm model {self.name} ({str(error).splitlines()[0]}); '
                'name a file of that model in features.checkpoint.'
            ) from error

    def _create(self, **more: Any) -> nn.Module:
        timm = _timm()
        if not timm.is_model(self.name):
            close = timm.list_models(f'*{self.name[:6]}*')[:4]
            raise ConfigError(
                f'timm has no model {self.name!r}; set features.model to a name that it has, such as {close}.'
            )
        try:
            return timm.create_model(
                self.name, features_only=True, out_indices=(self.out_index,), **self.options, **more
            ).eval()  # fmt: skip
        except (AssertionError, IndexError) as error:
            raise ConfigError(
                f'{self.name} has no feature map features.out_index={self.out_index}; choose a smaller number.'
            ) from error

    def forward(self, images: Tensor) -> Tensor:
        """See the base class."""
        self.grid_size(images.shape[2:])
        features = self.encoder((images - self.mean) / self.std)[-1]
        if features.shape[1] == self.dims:  # some transformers give the channels last by themselves
            features = features.permute(0, 2, 3, 1)
        return F.normalize(features, dim=-1) if self.l2_norm else features


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ConfigError(
            'TimmFeatures needs timm, which is not installed; run `pip install timm`, or choose other features.'
        ) from error
    return timm
