"""A tokenizer whose ids are on disk, and the hash that tells tokenizers apart."""

from __future__ import annotations

import hashlib
import inspect
import json

import torch
from torch import Tensor

from mim_plugin.datasets.token_cache import ENCODE, read_manifest
from mim_plugin.errors import ConfigError
from mim_plugin.models.tokenizers.base import FrozenTokenizer
from mim_plugin.registry import MODELS

__all__ = ['CachedTokenizer', 'tokenizer_hash']

_PLACES = ('_scope_', 'checkpoint', 'decoder_checkpoint', 'init_cfg')


@MODELS.register_module()
class CachedTokenizer(FrozenTokenizer):
    """Stands for a tokenizer that has done its work: the pipeline brings the ids, see :class:`CachedTokenCrop`.

    Before training it compares the cache with what the config says. The tokenizer that the ids are from is built for
    the comparison of its weights only and forgotten at once: no step has it in memory.

    Args:
        cache: Folder of the cache.
        vocabulary_size: Number of codes.
        tokenizer: Config of the tokenizer that the cache should be of. None: ids of any tokenizer with that many
            codes are taken, for a machine without its weights.

    Raises:
        DataError: There is no finished cache in the folder.
        ConfigError: The cache has another number of codes, or is of another tokenizer.
    """

    has_weights = False

    def __init__(self, cache: str, vocabulary_size: int, tokenizer: dict | None = None) -> None:
        super().__init__()
        self.cache = cache
        self.vocabulary_size = vocabulary_size
        self.config = tokenizer

    def init_weights(self) -> None:
        """Compare cache and config."""
        manifest = read_manifest(self.cache)
        if manifest.vocabulary_size != self.vocabulary_size:
            raise ConfigError(
                f'The token cache {self.cache} is of {manifest.tokenizer} with {manifest.vocabulary_size} codes, but '
                f'model.tokenizer.vocabulary_size is {self.vocabulary_size}; set it, or the cache, to fit.'
            )
        if self.config is None:
            return
        tokenizer = MODELS.build(self.config)
        tokenizer.init_weights()
        if tokenizer_hash(tokenizer, self.config) != manifest.tokenizer_sha256:
            raise ConfigError(
                f'The token cache {self.cache} was made by another {manifest.tokenizer} than the '
                f'{type(tokenizer).__name__} of model.tokenizer.tokenizer (settings or weights differ); name its '
                f'config and checkpoint there, or make the cache anew: {ENCODE}.'
            )

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of a training view's ids, whatever its size."""
        return tuple(read_manifest(self.cache).patch_grid)

    def encode(self, images: Tensor) -> Tensor:
        """Refuse: it has no tokenizer.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            'CachedTokenizer makes no ids, and the batch brings none; put CachedTokenCrop in the place of '
            'TwoResolutionCrop in train_pipeline, or name another model.tokenizer.'
        )


def tokenizer_hash(tokenizer: FrozenTokenizer, config: dict) -> str:
    """SHA-256 of what decides a tokenizer's ids: its class, its settings with their defaults, its weights.

    Where the weights lie does not count, nor do those of a decoder, which only draws pictures.

    Args:
        tokenizer: A tokenizer whose weights are loaded.
        config: What it was built from.
    """
    cls = type(tokenizer)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is not parameter.empty
    }
    settings = {**defaults, **config}
    digest = hashlib.sha256(cls.__name__.encode())
    digest.update(json.dumps(_without_places(settings), sort_keys=True, default=str).encode())
    for name, value in sorted(tokenizer.full_state_dict().items()):
        if 'decoder' in name.split('.'):
            continue
        value = value.detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _without_places(node: object) -> object:
    """Leave out what names a file or the scope of a class."""
    if isinstance(node, dict):
        kept = {str(key): _without_places(value) for key, value in node.items() if key not in _PLACES}
        if 'type' in kept:
            kept['type'] = kept['type'].split('.')[-1] if isinstance(kept['type'], str) else kept['type'].__name__
        return kept
    if isinstance(node, (list, tuple)):
        return [_without_places(item) for item in node]
    return node
