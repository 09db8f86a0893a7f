"""Models: layers, backbones, tokenizers, heads, losses and the algorithms that wire them."""

import mim_plugin.checkpoints.read  # every checkpoint that the process loads is read safely
from mim_plugin.models import algorithms, backbones, dvae, heads, losses, necks, tokenizers
from mim_plugin.models.data_preprocessor import MIMDataPreprocessor

__all__ = ['MIMDataPreprocessor', 'algorithms', 'backbones', 'dvae', 'heads', 'losses', 'necks', 'tokenizers']
