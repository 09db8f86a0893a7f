"""Heads: how the target is predicted, and from which tokens."""

from mim_plugin.models.heads.base import PatchHead
from mim_plugin.models.heads.projection import ProjectionHead
from mim_plugin.models.heads.regression import PatchRegressionHead
from mim_plugin.models.heads.token_classification import TokenClassificationHead

__all__ = ['PatchHead', 'PatchRegressionHead', 'ProjectionHead', 'TokenClassificationHead']
