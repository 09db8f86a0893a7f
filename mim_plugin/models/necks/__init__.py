"""Necks between a backbone and the head of a task."""

from mim_plugin.models.necks.feature_pyramid import FeaturePyramid
from mim_plugin.models.necks.projection_layer import ProjectionLayer

__all__ = ['FeaturePyramid', 'ProjectionLayer']
