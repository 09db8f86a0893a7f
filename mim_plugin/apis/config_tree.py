"""Walking through the nested dicts of a config."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import Config

from mim_plugin.errors import ConfigError

__all__ = ['move_data_root', 'type_name', 'walk_dicts', 'walk_loaders']

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def walk_dicts(node: object, path: str = '') -> Iterator[tuple[str, dict]]:
    """Every dict inside a config with its dotted key, outer ones first.

    The dicts are the config's own: what is changed in them changes the config.
    """
    if isinstance(node, Config):
        node = node._cfg_dict
    if isinstance(node, dict):
        yield path, node
        items = list(node.items())
    elif isinstance(node, (list, tuple)):
        items = list(enumerate(node))
    else:
        return
    for key, value in items:
        yield from walk_dicts(value, f'{path}.{key}' if path else str(key))


def walk_loaders(cfg: Config) -> Iterator[tuple[str, dict]]:
    """Every dict inside the loaders of training, validation and test with its dotted key, outer ones first."""
    for loader in _LOADERS:
        yield from walk_dicts(cfg.get(loader), loader)


def type_name(entry: dict, default: str = '') -> str:
    """Name of the class that an entry builds, without its scope."""
    kind = entry.get('type', default)
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def move_data_root(cfg: Config, root: str) -> None:
    """Let a config read its data below another folder.

    In a classic config ``data_root`` is a variable that is used up while the file is read. Here every
    path of the config that begins with it is written anew: those of data sets, and of evaluators, too.

    Args:
        cfg: A config with ``data_root``; changed in place.
        root: The new folder.

    Raises:
        ConfigError: The config has no ``data_root``, so that nothing would change.
    """
    old = cfg.get('data_root')
    if not isinstance(old, str) or not old.strip('/'):
        raise ConfigError(
            f'{cfg.filename or "The config"} has no data_root, so data_root={root} would change nothing; set it where '
            'the data sets are: train_dataloader.dataset.data_root=... and that of val_dataloader and test_dataloader.'
        )
    root = root.rstrip('/') or '/'
    for key in list(cfg):
        cfg[key] = _moved(cfg[key], old.rstrip('/'), root)


def _moved(node: object, old: str, new: str) -> object:
    """A copy of a part of a config with other beginnings of paths."""
    if isinstance(node, str):
        return new + node[len(old) :] if node == old or node.startswith(old + '/') else node
    if isinstance(node, dict):
        return type(node)({key: _moved(value, old, new) for key, value in node.items()})
    return type(node)(_moved(value, old, new) for value in node) if isinstance(node, (list, tuple)) else node
