"""Tokenizers: what should be predicted at each hidden patch."""

from mim_plugin.models.tokenizers.base import Targets
from mim_plugin.models.tokenizers.ema_teacher import EMATeacher

__all__ = ['EMATeacher', 'Targets']
