import math

import pytest
import torch

from mim_plugin.engine.hooks import EffectiveRankHook, effective_rank


def test_known_ranks():
    # Rows +-e_i: three directions of equal weight.
    features = torch.cat([torch.eye(3), -torch.eye(3)]) + 5
    assert effective_rank(features) == pytest.approx(3)
    line = torch.arange(8.0)[:, None] * torch.tensor([[1.0, 2.0, -1.0]])
    assert effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.ones(8, 4)) == 1
    # Singular values in ratio 3 to 1.
    two = torch.diag(torch.tensor([3.0, 1.0]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(torch.cat([two, -two])) == pytest.approx(math.exp(entropy))
    assert effective_rank(torch.randn(32, 64).half()) <= 31


class Log:
    def __init__(self):
        self.warnings = []

    def warning(self, text):
        self.warnings.append(text)


def test_logs_the_rank_of_the_teacher(toy_runner):
    runner = toy_runner(
        {
            'custom_hooks': [
                dict(type='SelfDistillationScheduleHook', warmup_epochs=2),
                dict(type='EffectiveRankHook', interval=5, num_images=3),
            ]
        }
    )
    seen = []
    extract = runner.model.extract_feat
    runner.model.extract_feat = lambda images: seen.append(len(images)) or extract(images)
    runner.train()
    ranks = runner.message_hub.get_scalar('train/effective_rank').data[0]
    assert seen == [3, 3, 3] and len(ranks) == 3
    assert all(1 <= rank <= 2.01 for rank in ranks)


def test_first_crop_of_views(toy_runner):
    runner = toy_runner()
    runner.model.eval()
    crops = [torch.randn(4, 6), torch.zeros(4, 6)]
    features = EffectiveRankHook(num_images=64)._features(runner, {'global': crops, 'local': [], 'mask': []})
    assert torch.equal(features, runner.model.extract_feat(crops[0]))


def test_warns_once_of_a_collapse():
    class Stand:
        logger = Log()

    hook = EffectiveRankHook()
    for rank in (3.6, 6.0, 10.0, 4.9, 4.0, 6.0, 1.5):
        hook._warn_of_collapse(Stand, rank, 63)
    assert len(Stand.logger.warnings) == 2
    assert 'effective rank 4.9 of at most 63, the highest so far was 10.0' in Stand.logger.warnings[0]
