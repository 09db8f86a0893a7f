"""Models by name, with the weights that are published for them.

::

    import mim_plugin

    mim_plugin.list_models('ibot*', pretrained=True)
    model = mim_plugin.get_model('ibot_vit-small-p16_16xb64-coslr-800e_in1k', pretrained=True)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mim_plugin.errors import CheckpointError, ConfigError

__all__ = ['config_path', 'get_model', 'list_models', 'published_weights', 'recipes']

_PACKAGE = Path(__file__).resolve().parents[1]
_ZOO = _PACKAGE / 'zoo'
_WEIGHTS, _CONFIG = 'model.safetensors', 'config.py'  # of a checkpoint in the zoo


def list_models(pattern: str | None = None, exclude: str | Iterable[str] = (), pretrained: bool = False) -> list[str]:
    """Names that :func:`get_model` takes, sorted.

    A name is that of a config (``ibot/NAME.py`` is ``NAME``; ``FOLDER/NAME`` where two folders have a ``NAME``) or of a
    checkpoint in this package.

    Args:
        pattern: Keep names that begin so; ``*`` and ``?`` stand for any letters. Folders may be left out.
        exclude: Pattern or patterns of names to leave out.
        pretrained: Keep names with published weights.

    Returns:
        The names.
    """
    excluded = [exclude] if isinstance(exclude, str) else list(exclude)
    names = [
        name
        for name in _configs()
        if (pattern is None or _matches(name, pattern)) and not any(_matches(name, other) for other in excluded)
    ]
    return sorted(name for name in names if not pretrained or published_weights(name))


def get_model(name: str, pretrained: bool | str | os.PathLike = False, **options: Any) -> nn.Module:
    """Build the model of a config.

    What a config trains is what is built: for a pretraining the whole algorithm, whose ``backbone`` is the network to
    use; for ADE20K a segmentor. No file is read unless ``pretrained`` asks for it: ``init_weights()`` of the model
    loads what ``init_cfg`` and a tokenizer name.

    Args:
        name: One of :func:`list_models`, or ``FOLDER/NAME``.
        pretrained: True loads the published weights, from this package or from the authors' address (kept in torch's
            cache folder), checked against the SHA-256 in the metafile or in the file's name if either has one; a path
            or an address loads that file, of any kind that :func:`mim_plugin.checkpoints.load_pretrained` knows.
        options: Overrides of the config's ``model``, dicts entry by entry: ``backbone=dict(img_size=384)``.

    Returns:
        The model in evaluation mode, with the whole config as ``cfg``.

    Raises:
        ConfigError: There is no such name, the model cannot be built (its toolbox is missing, an option is wrong), or
            ``pretrained`` is something else.
        CheckpointError: There are no published weights, or they cannot be fetched, read or do not fit.
    """
    from mim_plugin.apis.config_errors import explain_build_errors, read_config
    from mim_plugin.apis.tasks import check_toolbox

    cfg = read_config(str(config_path(name)))
    source = _source(name, pretrained)
    check_toolbox(cfg)
    _override(cfg.model, options)
    if cfg.get('data_preprocessor'):
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mim_plugin')), explain_build_errors(cfg):
        model = _build(name, cfg.model, options)
    if source is not None:
        _load(model, source)
    model.cfg = cfg
    return model.eval()


def config_path(name: str) -> Path:
    """The config of a model.

    Raises:
        ConfigError: There is no such name.
    """
    configs = _configs()
    if name in configs:
        return configs[name]
    by_folder = {_with_folder(path): path for path in configs.values()}
    if name in by_folder:
        return by_folder[name]
    alike = sorted(other for other in configs if other.endswith(f'/{name}')) or get_close_matches(str(name), configs)
    hint = f'did you mean {" or ".join(alike)}?' if alike else 'mim_plugin.list_models() gives all names.'
    raise ConfigError(f'There is no model {name!r}; {hint}')


def published_weights(name: str) -> str | None:
    """Where the weights of a model are: an address, a file in this package, or None."""
    recipe = _recipe(name)
    if shipped := recipe.get('Shipped Weights'):
        return str(_PACKAGE / shipped)
    return recipe.get('Weights')


@cache
def recipes() -> dict[Path, dict[str, Any]]:
    """Entries of all metafiles by the config that they describe, in the order of ``model-index.yml``."""
    root = _root()
    index = yaml.safe_load((root / 'model-index.yml').read_text(encoding='utf-8'))
    files = [yaml.safe_load((root / name).read_text(encoding='utf-8')) for name in index['Import']]
    return {(root / model['Config']).resolve(): model for content in files for model in content['Models']}


def _recipe(name: str) -> dict[str, Any]:
    """The entry of a metafile for a name, or an empty dict; that of a shipped checkpoint names its folder."""
    path = config_path(name)
    if not path.is_relative_to(_ZOO):
        return recipes().get(path, {})
    weights = path.with_name(_WEIGHTS).relative_to(_PACKAGE).as_posix()
    return next(recipe for recipe in recipes().values() if recipe.get('Shipped Weights') == weights)


def _root() -> Path:
    """The folder of ``configs`` and ``model-index.yml``: in an installed package, or the checkout."""
    for root in (_PACKAGE / '.mim', _PACKAGE.parent):
        if (root / 'configs').is_dir() and (root / 'model-index.yml').is_file():
            return root
    raise ConfigError(f'{_PACKAGE} has lost its configs (.mim); install mim_plugin again.')


@cache
def _configs() -> dict[str, Path]:
    """Configs by name."""
    folder = (_root() / 'configs').resolve()
    paths = [path for path in folder.rglob('*.py') if '_base_' not in path.parts]
    shipped = {path.name: path / _CONFIG for path in _ZOO.iterdir() if (path / _CONFIG).is_file()}
    times = Counter([*shipped, *(path.stem for path in paths)])
    return shipped | {path.stem if times[path.stem] == 1 else _with_folder(path): path for path in paths}


def _with_folder(path: Path) -> str:
    return f'{path.parent.name}/{path.stem}'


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, f'{pattern}*') or fnmatch(name.rpartition('/')[2], f'{pattern}*')


def _source(name: str, pretrained: bool | str | os.PathLike) -> str | None:
    """The file to load, fetched if need be."""
    from mim_plugin.checkpoints.download import check_hash, download

    if pretrained is False or pretrained is None:
        return None
    if pretrained is not True and (not isinstance(pretrained, (str, os.PathLike)) or not os.fspath(pretrained)):
        what = repr(pretrained) if isinstance(pretrained, (str, int, float)) else type(pretrained).__name__
        raise ConfigError(f'pretrained={what} is neither True nor False, and no path or address of a file.')
    source = published_weights(name) if pretrained is True else os.fspath(pretrained)
    if source is None:
        raise CheckpointError(
            f'No weights are published for {name}; mim_plugin.list_models(pretrained=True) names the models that have '
            'some, and pretrained=PATH loads a file of your own.'
        )
    if '://' in source:
        source = str(download(source))
    if pretrained is True:
        check_hash(source, _recipe(name).get('SHA-256'))
    return source


def _override(entry: dict[str, Any], options: dict[str, Any]) -> None:
    for key, value in options.items():
        if isinstance(value, dict) and isinstance(entry.get(key), dict):
            _override(entry[key], value)
        else:
            entry[key] = value


def _build(name: str, config: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    try:
        return MODELS.build(config)
    except TypeError as error:
        if not options:
            raise
        raise ConfigError(f'The options {", ".join(options)} do not fit the model of {name}: {error}.') from error


def _load(model: nn.Module, source: str) -> None:
    from mim_plugin.checkpoints import load_pretrained
    from mim_plugin.models.algorithms import FeatureExtractor

    if isinstance(model, FeatureExtractor):
        load_pretrained(model.backbone, source, part=model.network)
    else:
        load_pretrained(model, source)
    model._is_init = True  # a Runner that is given the model leaves it as it is
