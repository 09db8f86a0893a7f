import json

import pytest
import torch

from mim_plugin.errors import ConfigError
from tests.test_engine.test_loops.test_frozen_feature_loop import ToyAlgorithm, loader, make_runner, training


def train(tmp_path, num_epochs=3, **options):
    model = ToyAlgorithm()
    hook = {
        'type': 'FrozenFeatureHook',
        'bank_dataloader': loader(20),
        'dataloader': loader(12, seed=1),
        'evaluator': {'type': 'KNNMetric', 'k': 5},
        **options,
    }
    runner = make_runner(tmp_path, model, **training(num_epochs), custom_hooks=[hook] if options else [])
    runner.train()
    return runner


def evaluations(tmp_path):
    lines = [json.loads(line) for line in next(tmp_path.rglob('scalars.json')).read_text().splitlines()]
    return {line['step']: line for line in lines if 'frozen/knn/top1_k5' in line}


def test_epochs_and_figures(tmp_path):
    runner = train(tmp_path, interval=2, at_start=True)
    found = evaluations(tmp_path)
    assert list(found) == [0, 2, 3]  # before training, every second epoch, the last
    assert 'frozen/knn/thumbnail_top1_k5' in found[0]
    assert 'frozen/knn/thumbnail_top1_k5' not in found[2]  # told once
    assert runner.message_hub.get_scalar('frozen/knn/top1_k5').current() == found[3]['frozen/knn/top1_k5']


def test_training_is_the_same_with_and_without(tmp_path):
    with_hook = train(tmp_path / 'a', interval=1)
    without = train(tmp_path / 'b')
    ours, theirs = with_hook.model.state_dict(), without.model.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_wrong_options_are_found_before_training(tmp_path):
    with pytest.raises(ConfigError, match='interval=0'):
        train(tmp_path / 'a', interval=0)
    with pytest.raises(ConfigError, match='k=50 asks for more'):
        train(tmp_path / 'b', evaluator={'type': 'KNNMetric', 'k': 50})


def test_iterations_and_no_test_images(tmp_path):
    evaluator = {'type': 'KNNMetric', 'k': 5, 'leave_one_out': True}
    train(tmp_path, interval=2, by_epoch=False, dataloader=None, evaluator=evaluator)
    assert list(evaluations(tmp_path)) == [2, 4, 6]
    with pytest.raises(ConfigError, match='does not leave one image out'):
        train(tmp_path / 'b', dataloader=None, evaluator={'type': 'KNNMetric', 'k': 5})
