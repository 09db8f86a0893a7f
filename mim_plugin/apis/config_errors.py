"""One clear message for a config that cannot work."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mmengine.registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner

from mim_plugin.apis.config_scopes import settle_scopes
from mim_plugin.apis.config_tree import type_name, walk_dicts, walk_loaders
from mim_plugin.apis.detection_errors import explain_annotations, explain_operators
from mim_plugin.apis.segmentation_errors import explain_masks
from mim_plugin.errors import CheckpointError, ConfigError, DataError, MIMError

__all__ = ['check_top_level_keys', 'explain_build_errors', 'read_config']

# Keys that mmengine reads from a config besides the Runner's own arguments.
_OTHER_KEYS = (
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
)
_READ_ERRORS = (
    SyntaxError,
    NameError,
    LookupError,
    AttributeError,
    AssertionError,
    ImportError,
    OSError,
    TypeError,
    ValueError,
)
# What reading annotations raises, empty ones too.
_DATA_ERRORS = (AssertionError, LookupError, OSError, TypeError, ValueError)
_NO_FILE = re.compile(r"No such file or directory: '(.+)'")
_OTHER_GROUPS = re.compile(r'^loaded state dict .*parameter group')
_NOT_REGISTERED = re.compile(r'([\w.]+) is not in the (\w+)::([\w ]+) registry')
_UNKNOWN_ARGUMENT = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_MISSING_ARGUMENT = re.compile(r'(\w+)(?:\.__init__)?\(\) missing \d+ required [\w-]+ arguments?: (.+)')


def read_config(path: str) -> Config:
    """Read a config file.

    Raises:
        ConfigError: The file is missing or not a config, or one of its bases is.
    """
    if not Path(path).is_file():
        beside = [file.name for file in Path(path).parent.glob('*.py')]
        raise ConfigError(f'There is no config {path}{_nearest(Path(path).name, beside)}.')
    try:
        cfg = Config.fromfile(path)
    except _READ_ERRORS as error:
        message = ' '.join(str(error).split())
        raise ConfigError(f'{path} cannot be read: {type(error).__name__}: {message}') from error
    settle_scopes(cfg)
    return cfg


def check_top_level_keys(cfg: Config) -> None:
    """Refuse a top-level key that is nearly, but not quite, one that the Runner reads.

    Other keys are allowed: classic configs keep intermediate values at the top level.

    Raises:
        ConfigError: Names the key and the one that was meant.
    """
    of_runner = set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}
    for key in cfg:
        near = difflib.get_close_matches(key, of_runner, n=1, cutoff=0.85)
        if near and key not in of_runner and key not in _OTHER_KEYS:
            raise ConfigError(f"The config key '{key}' has no effect; did you mean '{near[0]}'?")


@contextmanager
def explain_build_errors(cfg: Config) -> Iterator[None]:
    """Turn errors about a type, an argument, missing operators or bad annotations into one with its config key."""
    try:
        yield
    except MIMError:
        raise
    except Exception as error:
        explained = _explain(cfg, error)
        if explained is None:
            raise
        raise explained from error


def _explain(cfg: Config, error: Exception) -> MIMError | None:
    if isinstance(error, KeyError) and (found := _NOT_REGISTERED.search(str(error))):
        name, scope, registry = found.groups()
        return ConfigError(
            f"type='{name}'{_where(cfg, name)} is not a known {registry} of {scope}{_suggest_type(name, registry)}; "
            'a class of your own must be named in custom_imports.'
        )
    if isinstance(error, TypeError) and (message := _explain_argument(cfg, str(error))):
        return ConfigError(message)
    if isinstance(error, ImportError) and (message := explain_operators(error)):
        return ConfigError(message)
    if isinstance(error, ValueError) and _OTHER_GROUPS.search(str(error)):
        return CheckpointError(
            f'{cfg.get("load_from")} cannot be resumed: its optimizer has other parameter groups than the config asks '
            'for (model, optim_wrapper.paramwise_cfg); resume with the config of its training, or start from its '
            'weights alone with load_from=FILE.'
        )
    if message := explain_masks(cfg, error):
        return DataError(message)
    if isinstance(error, _DATA_ERRORS) and (message := explain_annotations(cfg)):
        return DataError(message)
    # The loader's processes hand over the text of an error alone.
    if isinstance(error, FileNotFoundError) and (found := _NO_FILE.search(str(error))):
        message = _explain_missing_data(cfg, found[1])
        return DataError(message) if message else None
    return None


def _explain_missing_data(cfg: Config, name: str) -> str | None:
    for path, dataset in walk_loaders(cfg):
        root = dataset.get('data_root')
        if isinstance(root, str) and root.strip('/') and f'{name}/'.startswith(root.rstrip('/') + '/'):
            remedy = 'give --cfg-options data_root=DIR' if cfg.get('data_root') else f'set {path}.data_root'
            return f'{name} does not exist, where {path} looks for its data; put them or a link there, or {remedy}.'
    return None


def _explain_argument(cfg: Config, text: str) -> str | None:
    unknown = _UNKNOWN_ARGUMENT.search(text)
    if unknown and _entries(cfg, unknown[1], having=unknown[2]):
        name, argument = unknown.groups()
        where = _where(cfg, name, having=argument)
        return f"{name}{where} has no argument '{argument}'{_nearest(argument, _arguments(name))}."
    missing = _MISSING_ARGUMENT.search(text)
    if missing and _entries(cfg, missing[1]):
        return f'{missing[1]}{_where(cfg, missing[1])} needs {missing[2]}; add it to the config.'
    return None


def _entries(cfg: Config, name: str, having: str | None = None) -> list[str]:
    return [
        path
        for path, entry in walk_dicts(cfg)
        if type_name(entry) == name.split('.')[-1] and (having is None or having in entry)
    ]


def _where(cfg: Config, name: str, having: str | None = None) -> str:
    paths = _entries(cfg, name, having)
    return f' (config key {paths[-1]})' if paths else ''


def _root_registries() -> list[Registry]:
    return [value for value in vars(mmengine.registry).values() if isinstance(value, Registry)]


def _with_children(registry: Registry) -> Iterator[Registry]:
    yield registry
    for child in registry.children.values():
        yield from _with_children(child)


def _suggest_type(name: str, registry_name: str) -> str:
    roots = [root for root in _root_registries() if root.name == registry_name]
    scopes = {
        key: registry.scope for root in roots for registry in _with_children(root) for key in registry.module_dict
    }
    # The name may be right and only be looked up in the wrong package.
    return f" (did you mean '{scopes[name]}.{name}'?)" if name in scopes else _nearest(name, list(scopes))


def _arguments(class_name: str) -> list[str]:
    for root in _root_registries():
        for registry in _with_children(root):
            if class_name in registry.module_dict:
                return list(inspect.signature(registry.module_dict[class_name]).parameters)
    return []


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ''
