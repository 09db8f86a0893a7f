"""Frozen-feature protocols."""

from __future__ import annotations

import torch
from torch import Tensor

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.evaluation.knn import knn_accuracy, knn_votes
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.ibot_model import backbone_config

__all__ = ['eval_knn', 'eval_linear_features']

# Of iBOT's image retrieval.
_SCALES = (1.0, 0.5**0.5, 0.5)


def eval_knn(case: Case) -> Answers:
    """Votes, predictions and accuracies of the weighted k-NN."""
    settings, inputs = case.settings, case.inputs
    train, test = inputs['train_features'], inputs['test_features']
    train_labels, test_labels = inputs['train_labels'], inputs['test_labels']
    temperature, classes = settings['temperature'], settings['num_classes']
    outputs, dependent = {}, {}
    for k in settings['k_list']:
        votes = knn_votes(train, train_labels, test, k, temperature, classes)
        outputs[f'votes_k{k}'] = votes
        outputs[f'predicted_k{k}'] = votes.argmax(1)
        outputs |= knn_accuracy(train, train_labels, test, test_labels, [k], temperature, classes)
        dependent[f'k{k}'] = _depending_on_ties(votes, test_labels)
    return Answers(outputs, {'rows_with_tie_dependent_top5': dependent})


def _depending_on_ties(votes: Tensor, labels: Tensor) -> int:
    """Rows whose class got no vote and could still be among the first five."""
    own = votes.gather(1, labels.view(-1, 1)).squeeze(1)
    voted = (votes > 0).sum(1)
    # With five classes or fewer all of them are among the first five.
    undecided = (own == 0) & (voted < 5) & torch.tensor(votes.shape[1] > 5)
    return int(undecided.sum())


def eval_linear_features(case: Case) -> Answers:
    """Features of the last blocks under each pooling mode, at one scale and at three."""
    outputs = {}
    for num_blocks, avgpool in case.settings['n_and_mode']:
        kinds = {'features': (1.0,)}
        if f'multiscale_n{num_blocks}_mode{avgpool}' in case.outputs:
            kinds['multiscale'] = _SCALES
        for kind, scales in kinds.items():
            model = FeatureExtractor(backbone_config(case.settings), num_blocks, avgpool, scales).eval()
            load_pretrained(model.backbone, {'state_dict': case.weights['backbone']}, logger=None)
            with torch.no_grad():
                outputs[f'{kind}_n{num_blocks}_mode{avgpool}'] = model(case.inputs['images'])
    return Answers(outputs)
