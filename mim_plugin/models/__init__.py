"""Models: layers, backbones, tokenizers, heads, losses and the algorithms that wire them."""

from mim_plugin.models import algorithms, backbones, heads, losses, tokenizers
from mim_plugin.models.data_preprocessor import MIMDataPreprocessor

__all__ = ['MIMDataPreprocessor', 'algorithms', 'backbones', 'heads', 'losses', 'tokenizers']
