"""Feature grids: what k-means codes are fitted to."""

from mim_plugin.models.tokenizers.features.base import FeatureGrid
from mim_plugin.models.tokenizers.features.patches import ColorGradientFeatures, PixelFeatures
from mim_plugin.models.tokenizers.features.taef2 import TAEF2Features
from mim_plugin.models.tokenizers.features.timm_model import TimmFeatures
from mim_plugin.models.tokenizers.features.vit import ViTFeatures

__all__ = ['ColorGradientFeatures', 'FeatureGrid', 'PixelFeatures', 'TAEF2Features', 'TimmFeatures', 'ViTFeatures']
