"""Losses."""

from mim_plugin.models.losses.matching import match_by_feature
from mim_plugin.models.losses.self_distillation import SelfDistillationLoss

__all__ = ['SelfDistillationLoss', 'match_by_feature']
