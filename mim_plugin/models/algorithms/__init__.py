"""Algorithms: they wire views, backbone, tokenizer and head."""

from mim_plugin.models.algorithms.ibot import IBOT

__all__ = ['IBOT']
