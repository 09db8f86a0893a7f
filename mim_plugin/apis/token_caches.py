"""Whether the token caches that a config names belong together."""

from __future__ import annotations

from mmengine.config import Config

from mim_plugin.apis.config_tree import type_name, walk_dicts
from mim_plugin.datasets.token_cache import read_manifest
from mim_plugin.errors import ConfigError

__all__ = ['check_token_caches']


def check_token_caches(cfg: Config) -> None:
    """Refuse a config whose pipeline reads ids of another tokenizer than the model checks.

    Raises:
        ConfigError: The tokenizers differ.
        DataError: A cache is missing or unfinished.
    """
    tokenizer = (cfg.get('model') or {}).get('tokenizer') or {}
    steps = [entry for _, entry in walk_dicts(cfg.get('train_dataloader')) if type_name(entry) == 'CachedTokenCrop']
    if type_name(tokenizer) != 'CachedTokenizer':
        if steps:
            raise ConfigError(
                f'The pipeline reads ids from {steps[0]["cache"]}, but model.tokenizer is {type_name(tokenizer)}; make '
                'it a CachedTokenizer of the same cache.'
            )
        return
    expected = read_manifest(tokenizer['cache'])
    for step in steps:
        if read_manifest(step['cache']).tokenizer_sha256 != expected.tokenizer_sha256:
            raise ConfigError(
                f'The pipeline reads ids from {step["cache"]}, which are of another tokenizer than those of '
                f'model.tokenizer.cache={tokenizer["cache"]}; name the same cache in both.'
            )
