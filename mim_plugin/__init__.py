"""Masked image modeling for OpenMMLab: BEiT, iBOT and what follows them.

Importing this package is light: neither mmcv nor a toolbox is imported, and
classes register themselves when a config first names them.
"""

from mmengine.config.utils import MODULE2PACKAGE

from mim_plugin.version import __version__

__all__ = ['__version__']

# mmengine resolves `_base_ = 'PACKAGE::...'` only for packages of this table.
# The maintained OpenMMLab family ships mmseg under another distribution name
# than the one in the table, the import name is right for both families.
MODULE2PACKAGE.update(mim_plugin='mim_plugin', mmseg='mmseg')
