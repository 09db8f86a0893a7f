"""Heads: how the target is predicted, and from which tokens."""

from mim_plugin.models.heads.projection import ProjectionHead

__all__ = ['ProjectionHead']
