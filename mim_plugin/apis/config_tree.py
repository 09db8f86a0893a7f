"""Walking through the nested dicts of a config."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.config import Config

__all__ = ['type_name', 'walk_dicts']


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


def type_name(entry: dict, default: str = '') -> str:
    """Name of the class that an entry builds, without its scope."""
    kind = entry.get('type', default)
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__
