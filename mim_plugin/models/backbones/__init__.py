"""Backbones: encoders of visible patches."""

from mim_plugin.models.backbones.vision_transformer import MIMVisionTransformer

__all__ = ['MIMVisionTransformer']
