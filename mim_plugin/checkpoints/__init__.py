"""Reading, converting, loading and writing checkpoints.

Importing this package registers the safe reader with mmengine, so that ``load_from``,
``resume`` and ``init_cfg`` of every model of the process use it.
"""

from mim_plugin.checkpoints.contents import Contents, contents_of
from mim_plugin.checkpoints.convert import convert
from mim_plugin.checkpoints.export import export_for_toolbox, export_pretrained
from mim_plugin.checkpoints.load import LoadReport, load_pretrained
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.checkpoints.report import ConversionReport

__all__ = [
    'Contents',
    'ConversionReport',
    'LoadReport',
    'contents_of',
    'convert',
    'export_for_toolbox',
    'export_pretrained',
    'load_pretrained',
    'read_checkpoint',
]
