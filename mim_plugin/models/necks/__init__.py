"""Necks between a plain backbone and a dense head."""

from mim_plugin.models.necks.feature_pyramid import FeaturePyramid

__all__ = ['FeaturePyramid']
