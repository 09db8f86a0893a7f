"""k-means codes of a grid of features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.tokenizers.base import FrozenTokenizer
from mim_plugin.models.tokenizers.features import FeatureGrid
from mim_plugin.models.tokenizers.patches import join_patches
from mim_plugin.registry import MODELS

__all__ = ['KMeansTokenizer', 'argmax_scores']

KIND = 'mim_plugin k-means codes'
NORMALISATIONS = ('none', 'standardise', 'whiten')
# Scores that are in memory at one time: 256 MiB in float32.
_MAX_SCORES = 2**26


@MODELS.register_module()
class KMeansTokenizer(FrozenTokenizer):
    """The nearest of K centroids, in the space of any :class:`FeatureGrid`.

    ``tools/fit_codes.py`` fits the centroids to images and writes ``checkpoint``: centroids, normalisation,
    the mean picture of each code, and which features they belong to.

    Args:
        features: Config of the features.
        vocabulary_size: Number K of centroids.
        normalise: What is done with a feature vector before distances are measured: 'none', 'standardise'
            (each number to mean 0 and deviation 1) or 'whiten' (all of them decorrelated, too).
        checkpoint: File with the codes.

    Buffers: ``mean (C,)``; ``transform (C,)`` or ``(C, C)``, so that a normalised vector is
    ``(x - mean) * transform`` or ``(x - mean) @ transform``; ``centroids (K, C)``, normalised; ``pictures
    (K, 3 * s * s)``, the mean pixels of each code's cells of ``s`` pixels a side, in [0, 1].
    """

    without_file = 'fit codes with tools/fit_codes.py CONFIG --data DIR, which writes it'

    def __init__(
        self, features: dict, vocabulary_size: int, normalise: str = 'standardise', checkpoint: str | None = None
    ) -> None:
        super().__init__(checkpoint)
        if normalise not in NORMALISATIONS:
            raise ConfigError(f'tokenizer.normalise={normalise!r} is unknown; use one of {NORMALISATIONS}.')
        self.features: FeatureGrid = MODELS.build(features)
        self.vocabulary_size = vocabulary_size
        self.normalise = normalise
        dims, cell = self.features.dims, self.features.stride
        self.register_buffer('mean', torch.zeros(dims))
        self.register_buffer('transform', torch.eye(dims) if normalise == 'whiten' else torch.ones(dims))
        self.register_buffer('centroids', torch.randn(vocabulary_size, dims))
        self.register_buffer('pictures', torch.full((vocabulary_size, 3 * cell**2), 0.5))

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """The grid of the features."""
        return self.features.grid_size(image_size)

    def encode(self, images: Tensor) -> Tensor:
        """Ids ``(B, h, w)`` of the nearest centroids."""
        features = self.normalised(self.features(images))
        return argmax_scores(features.flatten(0, 2), *self.scoring()).view(features.shape[:3])

    def normalised(self, features: Tensor) -> Tensor:
        """Features ``(..., C)`` as distances are measured between."""
        centred = features - self.mean
        return centred @ self.transform if self.transform.ndim == 2 else centred * self.transform

    def scoring(self) -> tuple[Tensor, Tensor]:
        """Weight ``(K, C)`` and bias ``(K,)`` of linear scores that are greatest for the nearest centroid."""
        return self.centroids, -self.centroids.square().sum(1) / 2

    can_decode = True

    def decode(self, targets: Tensor) -> Tensor:
        """Images of ids ``(B, h, w)``: by the decoder of the features, else the mean picture of each code."""
        if not self.features.can_decode:
            return join_patches(self.pictures[targets], self.features.stride)
        centroids = self.centroids
        if self.transform.ndim == 2:
            centroids = torch.linalg.solve(self.transform, centroids, left=False)
        else:
            centroids = centroids / self.transform
        return self.features.decode((centroids + self.mean)[targets])

    def init_weights(self) -> None:
        """Read the weights of the features, then the codes that were made from them."""
        if not self._loaded or self.checkpoint is None:
            self.features.init_weights()
        super().init_weights()

    def save_codes(self, path: str | Path, notes: Mapping[str, str] | None = None) -> None:
        """Write the codes as ``checkpoint`` wants them.

        Args:
            path: File, a ``.safetensors``.
            notes: Strings to keep beside, such as what was measured.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().cpu().contiguous() for name, value in self._codes().items()}
        tensors['pictures'] = tensors['pictures'].half()
        # Renamed when whole, so that no half a file is ever read.
        unfinished = path.with_name(path.name + '.part')
        save_file(tensors, unfinished, metadata={**(notes or {}), **self.description()})
        unfinished.replace(path)

    def description(self) -> dict[str, str]:
        """What codes belong to: kind, features, their weights, normalisation."""
        settings = {'type': type(self.features).__name__, **self.features.settings()}
        return {
            'kind': KIND,
            'features': json.dumps(settings, sort_keys=True),
            'weights': self.features.weights_digest(),
            'normalise': self.normalise,
        }

    def _codes(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ('mean', 'transform', 'centroids', 'pictures')}

    def load_checkpoint(self, checkpoint: str) -> None:
        """Read the codes; refuse those of other features.

        Raises:
            CheckpointError: See there.
        """
        from mim_plugin.checkpoints import read_checkpoint

        content = read_checkpoint(checkpoint)
        meta, state = content.get('meta') or {}, content.get('state_dict') or {}
        if not isinstance(meta, Mapping) or meta.get('kind') != KIND:
            raise CheckpointError(
                f'{checkpoint} holds no k-means codes; fit some with tools/fit_codes.py and name its file in '
                'tokenizer.checkpoint.'
            )
        for key, mine in self.description().items():
            if meta.get(key) != mine:
                raise CheckpointError(f'{checkpoint} {self._difference(key, meta.get(key), mine)}')
        if len(state['centroids']) != self.vocabulary_size:
            raise CheckpointError(
                f'{checkpoint} holds {len(state["centroids"])} codes but tokenizer.vocabulary_size is '
                f'{self.vocabulary_size}; set it to that number, or fit codes anew with tools/fit_codes.py.'
            )
        for name, buffer in self._codes().items():
            buffer.copy_(state[name])

    @staticmethod
    def _difference(key: str, theirs: str | None, mine: str) -> str:
        remedy = 'fit codes anew with tools/fit_codes.py, or name the file that belongs to this config.'
        if key == 'weights':
            return (
                'was made with other weights of the features (features.checkpoint); name the file that was used then, '
                f'or {remedy}'
            )
        return f'was made with {key} {theirs}, but the config says {mine}; {remedy}'


def argmax_scores(rows: Tensor, weight: Tensor, bias: Tensor | None = None, limit: int = _MAX_SCORES) -> Tensor:
    """For each row, the index of the greatest of K linear scores, some rows at a time.

    Args:
        rows: ``(N, C)``.
        weight: ``(K, C)``.
        bias: ``(K,)``.
        limit: Most scores that are in memory at one time.

    Returns:
        ``(N,)`` int64.
    """
    chunks = rows.split(max(1, limit // len(weight)))
    return torch.cat([torch.nn.functional.linear(chunk, weight, bias).argmax(1) for chunk in chunks])
