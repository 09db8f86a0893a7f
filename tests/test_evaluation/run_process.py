"""One of several processes that evaluate together: RANK WORLD_SIZE FOLDER; writes what it saw."""

import sys
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator

from mim_plugin.evaluation import FeatureSet, FrozenFeatureProtocol, KNNMetric, LogisticRegressionMetric
from mim_plugin.evaluation.features import extract_features
from mim_plugin.evaluation.gather import shared_neighbors
from tests.test_evaluation.toys import ToyImages, toy_extractor, toy_loader


def load(dataset):
    """Not shuffled; the last round is filled up with images from the start."""
    return toy_loader(dataset, 4, sampler=DefaultSampler(dataset, shuffle=False))


def evaluate(num_classes, num_bank, num_test):
    bank, test = ToyImages(num_bank, num_classes, noise=60), ToyImages(num_test, num_classes, seed=1, noise=60)
    metrics = [KNNMetric(k=(1, 5, 17)), LogisticRegressionMetric(labels_per_class=3, draws=2)]
    return FrozenFeatureProtocol(Evaluator(metrics), load(bank)).run(toy_extractor(), load(test))


def evaluate_bank(num_classes, num_bank):
    bank, metric = ToyImages(num_bank, num_classes, noise=60), KNNMetric(k=(1, 5, 17), leave_one_out=True)
    return FrozenFeatureProtocol(Evaluator(metric), load(bank)).run(toy_extractor())


def uneven_neighbors(rank, world_size):
    """The second process holds two of 21 rows; equal rows lie in both parts."""
    rows = torch.eye(7).repeat(3, 1) + torch.arange(7)[None] / 10
    whole = FeatureSet(rows, torch.arange(21), torch.arange(21))
    parts = {1: [slice(0, 21)], 2: [slice(0, 19), slice(19, 21)]}[world_size]
    return shared_neighbors(whole.take(parts[rank]), rows[:5], 4)


def main(rank, world_size, folder):
    """Everything that the test compares."""
    if world_size > 1:
        torch.distributed.init_process_group('gloo', f'file://{folder}/meet', rank=rank, world_size=world_size)
    return {
        'odd': evaluate(5, 37, 11),
        'leave one out': evaluate_bank(5, 37),
        'binary': evaluate(2, 40, 1),  # one test image for two processes
        'features': extract_features(toy_extractor(), load(ToyImages(9))).features,
        'neighbors': uneven_neighbors(rank, world_size),
    }


if __name__ == '__main__':
    seen = main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    torch.save(seen, Path(sys.argv[3]) / f'{sys.argv[1]}.pt')
