"""Functions that return matplotlib figures; nothing here opens a window or writes a file."""

from mim_plugin.visualization.attention import color_heads, draw_attention, mass_mask
from mim_plugin.visualization.codes import draw_code_usage, draw_reconstructions
from mim_plugin.visualization.comparison import draw_comparison
from mim_plugin.visualization.curves import draw_curves, read_scalars
from mim_plugin.visualization.detection import Objects, draw_detections
from mim_plugin.visualization.predictions import draw_predictions
from mim_plugin.visualization.segmentation import color_labels, draw_segmentation
from mim_plugin.visualization.style import class_colors
from mim_plugin.visualization.views import draw_views, hide_patches

__all__ = [
    'Objects',
    'class_colors',
    'color_heads',
    'color_labels',
    'draw_attention',
    'draw_code_usage',
    'draw_comparison',
    'draw_curves',
    'draw_detections',
    'draw_predictions',
    'draw_reconstructions',
    'draw_segmentation',
    'draw_views',
    'hide_patches',
    'mass_mask',
    'read_scalars',
]
