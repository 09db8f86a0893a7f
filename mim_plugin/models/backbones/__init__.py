"""Backbones: encoders of visible patches."""

from mim_plugin.models.backbones.swin_transformer import MIMSwinTransformer
from mim_plugin.models.backbones.vision_transformer import MIMVisionTransformer

__all__ = ['MIMSwinTransformer', 'MIMVisionTransformer']
