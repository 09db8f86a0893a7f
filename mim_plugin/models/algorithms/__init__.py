"""Algorithms: they wire views, backbone, tokenizer and head."""

from mim_plugin.models.algorithms.beit import BEiT
from mim_plugin.models.algorithms.classifier import MIMClassifier
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor
from mim_plugin.models.algorithms.ibot import IBOT

__all__ = ['IBOT', 'BEiT', 'FeatureExtractor', 'MIMClassifier']
