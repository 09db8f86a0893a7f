import json

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mim_plugin.engine.loops import FrozenFeatureLoop
from mim_plugin.errors import ConfigError
from tests.test_evaluation.toys import ToyBackbone, ToyImages, ToyPreprocessor, toy_collate, toy_extractor


class ToyAlgorithm(BaseModel):
    """A student that learns something; a teacher that does not."""

    def __init__(self):
        super().__init__(ToyPreprocessor())
        self.backbone = ToyBackbone()
        self.tokenizer = torch.nn.Module()
        self.tokenizer.backbone = ToyBackbone(seed=1).requires_grad_(False)

    def forward(self, inputs, data_samples=None, mode='loss'):
        return {'loss': self.backbone.forward_tokens(inputs + 0.1 * torch.randn_like(inputs)).square().mean()}


def loader(*args, shuffle=False, **kwargs):
    sampler = {'type': 'DefaultSampler', 'shuffle': shuffle}
    return {'dataset': ToyImages(*args, **kwargs), 'batch_size': 8, 'sampler': sampler, 'collate_fn': toy_collate}


def make_runner(tmp_path, model, seed=0, **options):
    return Runner(
        model,
        str(tmp_path),
        experiment_name=str(tmp_path).replace('/', '_'),
        default_scope='mim_plugin',
        randomness={'seed': seed},
        log_level='WARNING',
        **options,
    )


def training(num_epochs=3):
    return {
        'train_dataloader': loader(16, shuffle=True),
        'train_cfg': {'by_epoch': True, 'max_epochs': num_epochs},
        'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.01}},
    }


def frozen(mode, **options):
    return {
        f'{mode}_dataloader': loader(12, seed=1),
        f'{mode}_cfg': {'type': 'FrozenFeatureLoop', 'bank_dataloader': loader(20), **options},
        f'{mode}_evaluator': {'type': 'KNNMetric', 'k': (1, 5)},
    }


KEYS = {
    *(f'knn/{start}top1_k{k}' for start in ('', 'thumbnail_') for k in (1, 5)),
    'knn/majority_accuracy',
    'knn/majority_balanced_accuracy',
}


def test_as_test_loop(tmp_path):
    figures = make_runner(tmp_path, toy_extractor(), **frozen('test')).test()
    assert set(figures) == KEYS
    assert figures['knn/top1_k5'] > 70


def test_as_validation_loop_with_the_best_checkpoint(tmp_path):
    hooks = {'checkpoint': {'type': 'CheckpointHook', 'save_best': 'knn/top1_k5', 'rule': 'greater'}}
    model = ToyAlgorithm()
    runner = make_runner(tmp_path, model, **training(2), **frozen('val', baselines=False), default_hooks=hooks)
    runner.train()
    assert list(tmp_path.glob('best_knn_top1_k5_epoch_*.pth'))
    scalars = [json.loads(line) for line in next(tmp_path.rglob('scalars.json')).read_text().splitlines()]
    assert any('knn/top1_k5' in line for line in scalars)


def test_network_of_an_algorithm(tmp_path):
    model = ToyAlgorithm()
    student = make_runner(tmp_path / 'a', model, **frozen('test', extractor={'network': 'student'})).test()
    model.tokenizer.backbone.load_state_dict(model.backbone.state_dict())
    assert make_runner(tmp_path / 'b', model, **frozen('test')).test() == student


def test_too_large_k_is_found_when_the_loop_is_built(tmp_path):
    settings = frozen('test') | {'test_evaluator': {'type': 'KNNMetric', 'k': 21}}
    with pytest.raises(ConfigError, match='k=21 asks for more'):
        make_runner(tmp_path, toy_extractor(), **settings).test()


def test_bank_of_the_config(tmp_path):
    settings = frozen('test')
    bank = settings['test_cfg'].pop('bank_dataloader')
    with pytest.raises(ConfigError, match='set bank_dataloader'):
        make_runner(tmp_path / 'a', toy_extractor(), **settings).test()
    runner = make_runner(tmp_path / 'b', toy_extractor(), **settings)
    runner.cfg['bank_dataloader'] = bank
    loop = FrozenFeatureLoop(runner, settings['test_dataloader'], settings['test_evaluator'])
    assert len(loop.protocol.bank_dataloader.dataset) == 20  # the test images are 12
