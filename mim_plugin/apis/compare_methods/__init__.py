"""Compares pretraining methods on a labelled folder: equal wall time, equal images, equal search of the lr."""

from mim_plugin.apis.compare_methods.job import compare_methods
from mim_plugin.apis.compare_methods.options import CompareOptions

__all__ = ['CompareOptions', 'compare_methods']
