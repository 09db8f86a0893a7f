"""Tokenizers: what should be predicted at each hidden patch."""

from mim_plugin.models.tokenizers.base import FrozenTokenizer, Targets
from mim_plugin.models.tokenizers.cached import CachedTokenizer
from mim_plugin.models.tokenizers.dalle import DALLETokenizer
from mim_plugin.models.tokenizers.dino import DINOTokenizer
from mim_plugin.models.tokenizers.dvae import DVAETokenizer
from mim_plugin.models.tokenizers.ema_teacher import EMATeacher
from mim_plugin.models.tokenizers.kmeans import KMeansTokenizer
from mim_plugin.models.tokenizers.mean_color import MeanColorTokenizer
from mim_plugin.models.tokenizers.pixel import PixelTokenizer

__all__ = [
    'CachedTokenizer',
    'DALLETokenizer',
    'DINOTokenizer',
    'DVAETokenizer',
    'EMATeacher',
    'FrozenTokenizer',
    'KMeansTokenizer',
    'MeanColorTokenizer',
    'PixelTokenizer',
    'Targets',
]
