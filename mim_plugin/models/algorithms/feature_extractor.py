"""Frozen features of any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS

NETWORKS = ('teacher', 'student')


def pooled_features(backbone: nn.Module, images: Tensor, num_blocks: int = 1, avgpool: int = 0) -> Tensor:
    """One feature vector an image, from the tokens of the last blocks.

    Args:
        backbone: A backbone with ``intermediate_tokens(x, n, norm)`` and ``num_prefix_tokens``; one whose mean is
            always that of normed tokens (Swin) has ``pools_normed_tokens``.
        images: Normalised images ``(B, C, H, W)``.
        num_blocks: How many last blocks give their [CLS] (iBOT's ``n_last_blocks``).
        avgpool: 0 = [CLS] of the last ``num_blocks`` blocks, earliest first; 1 = mean of the last
            block's patch tokens *before* the final norm (``num_blocks`` unused); 2 = as 0, then the
            mean of the last block's normed patch tokens.

    Returns:
        Features ``(B, D')``; ``D'`` is ``D * num_blocks``, ``D``, or ``D * (num_blocks + 1)``.

    Source: iBOT (arXiv 2111.07832), appendix on evaluation; the numbering of its published code.
    """
    prefix = backbone.num_prefix_tokens
    if avgpool == 1:
        norm = getattr(backbone, 'pools_normed_tokens', False)
        return backbone.intermediate_tokens(images, 1, norm)[-1][:, prefix:].mean(1)
    blocks = backbone.intermediate_tokens(images, num_blocks)
    parts = [tokens[:, 0] for tokens in blocks]
    if avgpool == 2:
        parts.append(blocks[-1][:, prefix:].mean(1))
    return torch.cat(parts, dim=-1)


@MODELS.register_module()
class FeatureExtractor(BaseModel):
    """A backbone that turns images into one vector each, for evaluation without training.

    ``tools/test.py CONFIG CHECKPOINT`` with a ``FrozenFeatureLoop`` evaluates it. The checkpoint
    may be a training checkpoint of an algorithm, a bare backbone or an official file; weights that do
    not fit raise a CheckpointError.

    Args:
        backbone: Config of the backbone, or the module itself.
        num_blocks: Number of last blocks, see :func:`pooled_features`.
        avgpool: 0, 1 or 2, see :func:`pooled_features`.
        scales: Each image is seen at these sizes, relative to its own; with more than one the
            features are averaged and L2-normalised (iBOT's image retrieval: 1, 1/sqrt(2), 1/2).
        network: Which network of a pretraining checkpoint is loaded, 'teacher' or 'student'.
        data_preprocessor: Config of the preprocessor, or the module itself; defaults to
            ``MIMDataPreprocessor`` with ImageNet statistics.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` loads any of these files.

    Raises:
        ConfigError: If an option is out of its range, or the model is asked for a loss.
        CheckpointError: If a checkpoint is loaded that does not fill the backbone.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        num_blocks: int = 1,
        avgpool: int = 0,
        scales: Sequence[float] = (1.0,),
        network: str = 'teacher',
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            # mmengine would look in its own registry only, unless a scope is set.
            data_preprocessor = MODELS.build({'type': 'MIMDataPreprocessor', **(data_preprocessor or {})})
        super().__init__(data_preprocessor, init_cfg)
        if avgpool not in (0, 1, 2):
            raise ConfigError(f'avgpool={avgpool!r} is not a pooling mode; use 0, 1 or 2.')
        if num_blocks < 1:
            raise ConfigError(f'num_blocks={num_blocks} asks for no block; use 1 or more.')
        if not scales or min(scales) <= 0:
            raise ConfigError(f'scales={tuple(scales)} must hold at least one factor, all positive.')
        _check_network(network)
        self.backbone = MODELS.build(backbone) if isinstance(backbone, dict) else backbone
        self.num_blocks = num_blocks
        self.avgpool = avgpool
        self.scales = tuple(scales)
        self.network = network
        self.register_load_state_dict_pre_hook(_convert_state)

    @classmethod
    def from_algorithm(cls, model: nn.Module, network: str = 'teacher', **options: Any) -> FeatureExtractor:
        """A view of an algorithm's network: modules are shared, nothing is copied.

        Args:
            model: A :class:`FeatureExtractor` (returned as it is), or an algorithm with ``backbone``
                and ``data_preprocessor``, bare or in a distributed wrapper.
            network: 'teacher' (``model.tokenizer.backbone``; where the algorithm has no
                teacher, its only backbone) or 'student' (``model.backbone``).
            **options: ``num_blocks``, ``avgpool``, ``scales``.

        Raises:
            ConfigError: If options are given for a model that has its own, or it has no backbone.
        """
        if is_model_wrapper(model):
            model = model.module
        if isinstance(model, cls):
            if options:
                raise ConfigError(f'Set {sorted(options)} on the FeatureExtractor model, not on the evaluation.')
            return model
        _check_network(network)
        teacher = getattr(getattr(model, 'tokenizer', None), 'backbone', None)
        backbone = teacher if network == 'teacher' and teacher is not None else getattr(model, 'backbone', None)
        if backbone is None:
            raise ConfigError(f'{type(model).__name__} has no backbone to take features from; use a FeatureExtractor.')
        return cls(backbone, network=network, data_preprocessor=model.data_preprocessor, **options)

    def extract_feat(self, images: Tensor) -> Tensor:
        """Features ``(B, D')`` of normalised images ``(B, C, H, W)``."""
        if self.scales == (1.0,):
            return pooled_features(self.backbone, images, self.num_blocks, self.avgpool)
        views = (self._resized(images, scale) for scale in self.scales)
        total = sum(pooled_features(self.backbone, view, self.num_blocks, self.avgpool) for view in views)
        return F.normalize(total / len(self.scales), dim=-1)

    def _resized(self, images: Tensor, scale: float) -> Tensor:
        if scale == 1.0:
            return images
        images = F.interpolate(images, scale_factor=scale, mode='bilinear', align_corners=False)
        # The rest that fills no whole patch is left out, as a strided convolution does.
        height, width = (size - size % self.backbone.patch_size for size in images.shape[-2:])
        return images[..., :height, :width]

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """mmengine's entry point.

        Args:
            inputs: Normalised images ``(B, C, H, W)``.
            data_samples: Their data samples; made where the pipeline gives none.
            mode: 'tensor' or 'predict'.

        Returns:
            Features ``(B, D')``; for 'predict' the data samples with ``feature`` ``(D',)``
            (float32, on the CPU) set.
        """
        if mode == 'loss':
            raise ConfigError('FeatureExtractor holds frozen features and has no loss; use it in test_cfg only.')
        features = self.extract_feat(inputs)
        if mode == 'tensor':
            return features
        if data_samples is None:
            data_samples = [BaseDataElement() for _ in features]
        for sample, feature in zip(data_samples, features.float().cpu(), strict=True):
            sample.feature = feature
        return data_samples


def _convert_state(model: FeatureExtractor, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Replace a checkpoint of any known kind by what this model takes from it.

    Without it a training checkpoint would load its student, whose names are those of this model.
    """
    if prefix:
        return  # part of another model, whose checkpoint it is
    from mim_plugin.checkpoints import load_pretrained

    load_pretrained(model.backbone, dict(state), part=model.network)
    state.clear()
    state.update(model.state_dict())


def _check_network(network: str) -> None:
    if network not in NETWORKS:
        raise ConfigError(f"network={network!r} is unknown; use 'teacher' or 'student'.")
