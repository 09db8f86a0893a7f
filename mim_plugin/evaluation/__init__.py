"""Evaluation on frozen features: extracted once, then compared."""

from mim_plugin.evaluation.baselines import Standardizer, majority_baseline, thumbnail_features
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.features import extract_features
from mim_plugin.evaluation.knn import knn_accuracy, knn_votes, nearest_neighbors
from mim_plugin.evaluation.logistic import logistic_regression
from mim_plugin.evaluation.metrics import KNNMetric, LogisticRegressionMetric
from mim_plugin.evaluation.protocol import FrozenFeatureProtocol
from mim_plugin.evaluation.scores import balanced_accuracy, roc_auc, top_k_accuracy

__all__ = [
    'FeatureSet',
    'FrozenFeatureProtocol',
    'KNNMetric',
    'LogisticRegressionMetric',
    'Standardizer',
    'balanced_accuracy',
    'extract_features',
    'knn_accuracy',
    'knn_votes',
    'logistic_regression',
    'majority_baseline',
    'nearest_neighbors',
    'roc_auc',
    'thumbnail_features',
    'top_k_accuracy',
]
