"""Losses."""

from mim_plugin.models.losses.self_distillation import SelfDistillationLoss

__all__ = ['SelfDistillationLoss']
