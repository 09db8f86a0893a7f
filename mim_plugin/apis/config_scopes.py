"""What mmengine's ``_base_ = 'PACKAGE::...'`` does to names, put right where it goes wrong."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.registry import Registry

from mim_plugin import registry
from mim_plugin.apis.config_tree import walk_dicts

__all__ = ['settle_scopes']


def settle_scopes(cfg: Config) -> None:
    """Correct the ``_scope_`` that mmengine has put into what another package's file says; changes ``cfg``.

    A file of ours for a toolbox (``default_scope='mmseg'``) uses the toolbox's names as they are. Inherited by
    ``mim_plugin::`` they would be looked up in this package alone, so an entry whose name we do not have goes back
    to the default scope. And a function takes no scope at all.
    """
    foreign = cfg.get('default_scope', 'mim_plugin') != 'mim_plugin'
    for _, entry in walk_dicts(cfg):
        if isinstance(entry.get('collate_fn'), dict):
            entry['collate_fn'].pop('_scope_', None)
        if foreign and entry.get('_scope_') == 'mim_plugin' and not _is_ours(entry.get('type')):
            del entry['_scope_']


def _is_ours(name: object) -> bool:
    ours = [value for value in vars(registry).values() if isinstance(value, Registry) and value.scope == 'mim_plugin']
    for one in ours:
        one.import_from_location()
    return any(name in one.module_dict for one in ours)
