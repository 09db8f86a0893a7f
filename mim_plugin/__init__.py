"""Masked image modeling for OpenMMLab: BEiT, iBOT and what follows them.

Importing this package is light: neither mmcv nor a toolbox is imported, and
classes register themselves when a config first names them.
"""

from typing import Any

from mim_plugin.version import __version__

try:
    from mmengine.config.utils import MODULE2PACKAGE
except ModuleNotFoundError as error:
    if error.name != 'mmengine':
        raise
    raise ModuleNotFoundError(
        'mim_plugin needs mmengine, which is not installed: `pip install onedl-mmengine` in a new environment, or '
        '`pip install mmengine` beside other packages of the original OpenMMLab family (never both).',
        name='mmengine',
    ) from None

__all__ = ['__version__', 'get_model', 'list_models']

# mmengine resolves `_base_ = 'PACKAGE::...'` only for packages of this table.
# The maintained OpenMMLab family ships mmseg under another distribution name
# than the one in the table, the import name is right for both families. For an
# editable install mmengine of the original family would look for a distribution's
# folder in site-packages; the name of a module makes either family go by the module.
MODULE2PACKAGE.update(mim_plugin='mim_plugin.version', mmseg='mmseg')


def __getattr__(name: str) -> Any:
    if name not in ('get_model', 'list_models'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from mim_plugin.apis import models  # reads metafiles, so only when asked for

    return getattr(models, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
