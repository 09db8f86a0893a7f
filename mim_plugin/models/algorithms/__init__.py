"""Algorithms: they wire views, backbone, tokenizer and head."""

from mim_plugin.models.algorithms.beit import BEiT
from mim_plugin.models.algorithms.beit_dino import BEiTDINO
from mim_plugin.models.algorithms.classifier import MIMClassifier
from mim_plugin.models.algorithms.dino import DINO, DenseDINO
from mim_plugin.models.algorithms.dvae import DiscreteVAE
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor
from mim_plugin.models.algorithms.ibot import IBOT

__all__ = ['DINO', 'IBOT', 'BEiT', 'BEiTDINO', 'DenseDINO', 'DiscreteVAE', 'FeatureExtractor', 'MIMClassifier']
