"""Tokenizers: what should be predicted at each hidden patch."""

from mim_plugin.models.tokenizers.base import FrozenTokenizer, Targets
from mim_plugin.models.tokenizers.ema_teacher import EMATeacher
from mim_plugin.models.tokenizers.mean_color import MeanColorTokenizer

__all__ = ['EMATeacher', 'FrozenTokenizer', 'MeanColorTokenizer', 'Targets']
