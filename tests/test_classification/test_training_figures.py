"""Learning rates, targets and augmentation of fine-tuning against the published formulas."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS, DefaultScope

from mim_plugin.engine.optim import EpochCosineLR
from mim_plugin.errors import ConfigError

pytest.importorskip('mmpretrain')
CONFIGS = Path(__file__).parents[2] / 'configs' / 'classification'
LAYERS = 3
ARCH = dict(embed_dims=32, num_layers=LAYERS, num_heads=2, feedforward_channels=64)


def build(name: str):
    """The model (made small), the optimizer and the schedule of a config, 50 iterations an epoch."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.model.backbone.update(arch=ARCH, img_size=32, init_cfg=None)
    cfg.model.head.update(in_channels=32)
    cfg.optim_wrapper.update(type='mim_plugin.MIMOptimWrapper')
    cfg.optim_wrapper.pop('dtype')
    cfg.model.data_preprocessor = cfg.data_preprocessor
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        end = {'end': cfg.train_cfg.max_epochs, **cfg.param_scheduler[0]}
        scheduler = PARAM_SCHEDULERS.build(end, default_args=dict(optimizer=wrapper, epoch_length=50))
    return cfg, model, wrapper, scheduler


def layer_of(name: str) -> int:
    name = name.removeprefix('backbone.')
    if name.startswith(('cls_token', 'pos_embed', 'patch_embed')):
        return 0
    return int(name.split('.')[1]) + 1 if name.startswith('layers.') else LAYERS + 1


@pytest.mark.parametrize(
    'name', ['ibot_vit-base-p16_8xb128-coslr-100e_in1k', 'beit-ft22k_vit-large-p16_8xb32-coslr-30e_in1k']
)
def test_rate_of_every_layer_from_the_first_step_to_the_last(name):
    cfg, model, wrapper, scheduler = build(name)
    peak, decay = cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.paramwise_cfg.layer_decay_rate
    warmup, total = cfg.param_scheduler[0].warmup_epochs * 50, cfg.train_cfg.max_epochs * 50
    left = np.arange(total - warmup)
    cosine = 1e-6 + (peak - 1e-6) * (1 + np.cos(np.pi * left / len(left))) / 2
    expected = np.concatenate([np.linspace(0, peak, warmup), cosine])
    groups = {id(p): group for group in wrapper.optimizer.param_groups for p in group['params']}
    for step in (0, 1, warmup - 1, warmup, total // 2, total - 1):
        scheduler.seek(step)
        for param_name, parameter in model.named_parameters():
            scale = decay ** (LAYERS + 1 - layer_of(param_name))
            assert groups[id(parameter)]['lr'] == pytest.approx(expected[step] * scale, rel=1e-6, abs=1e-12), param_name
    # The floor shrinks with the layer, too: the embedding ends far below eta_min.
    assert groups[id(model.backbone.cls_token)]['lr'] < 1.1e-6 * decay**LAYERS
    undecayed = {n for n, p in model.named_parameters() if groups[id(p)]['weight_decay'] == 0}
    assert undecayed == {
        n for n, p in model.named_parameters() if p.ndim == 1 or n.endswith(('.bias', 'pos_embed', 'cls_token'))
    }


def published_epoch_rates(peak: float, epochs: int) -> list[float]:
    """The published loop: train an epoch with what is set, then set the value of this epoch's index."""
    rates, rate = [], 1e-6
    for epoch in range(epochs):
        rates.append(rate)
        if epoch < 5:
            rate = 1e-6 + epoch * (peak - 1e-6) / 5
        else:
            rate = 1e-5 + 0.5 * (peak - 1e-5) * (1 + math.cos(math.pi * epoch / epochs))
    return rates


@pytest.mark.parametrize('name', ['ibot_vit-base-p16_8xb96-1000e_cars', 'ibot_vit-small-p16_8xb96-360e_inat18'])
def test_rate_of_transfer_changes_once_an_epoch(name):
    cfg, _, wrapper, scheduler = build(name)
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        (rate,) = {group['lr'] for group in wrapper.optimizer.param_groups}
        rates.append(rate)
        wrapper.optimizer.step()
        scheduler.step()
    assert rates == pytest.approx(published_epoch_rates(cfg.optim_wrapper.optimizer.lr, len(rates)))
    assert rates[:2] == [1e-6, 1e-6]


def test_few_labels_have_a_constant_rate_after_the_warm_up():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-5)
    scheduler = EpochCosineLR(optimizer, end=1000)
    for epoch in (6, 7, 500, 999):
        scheduler.seek(epoch)
        assert optimizer.param_groups[0]['lr'] == pytest.approx(1e-5)
    with pytest.raises(ConfigError, match='3 steps cannot hold a warm-up of 5'):
        EpochCosineLR(optimizer, end=3)


def test_rand_augment_is_the_published_one():
    cfg = Config.fromfile(CONFIGS / 'beit_vit-base-p16_8xb128-coslr-100e_in1k.py')
    step = next(step for step in cfg.train_dataloader.dataset.pipeline if step['type'] == 'RandAugment')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        augment = TRANSFORMS.build(step)
    assert (augment.num_policies, augment.magnitude_level, augment.total_level) == (2, 9, 10)
    assert augment.magnitude_std == 0.5
    ranges = sorted((type(op).__name__, op.magnitude_range) for op in augment.transforms)
    assert ranges == [
        ('AutoContrast', None),
        ('Brightness', (0, 0.9)),
        ('ColorTransform', (0, 0.9)),
        ('Contrast', (0, 0.9)),
        ('Equalize', None),
        ('Invert', None),
        ('Posterize', (4, 0)),
        ('Rotate', (0, 30)),
        ('Sharpness', (0, 0.9)),
        ('Shear', (0, 0.3)),
        ('Shear', (0, 0.3)),
        ('Solarize', (256, 0)),
        ('SolarizeAdd', (0, 110)),
        ('Translate', (0, 0.45)),
        ('Translate', (0, 0.45)),
    ]
    assert {op.prob for op in augment.transforms} == {0.5}
    geometric = [op for op in augment.transforms if hasattr(op, 'pad_val')]
    assert len(geometric) == 5
    assert all(op.pad_val == (128, 128, 128) and op.interpolation == 'bicubic' for op in geometric)


def test_repeated_augmentation_spreads_the_copies_of_an_image(monkeypatch):
    from mmpretrain.datasets.samplers import repeat_aug

    cfg = Config.fromfile(CONFIGS / 'beit-abs_vit-base-p16_4xb128-coslr-150e_cifar100.py')
    options = {key: value for key, value in cfg.train_dataloader.sampler.items() if key not in ('type', '_scope_')}
    monkeypatch.setattr(repeat_aug, 'get_dist_info', lambda: (rank, 4))
    seen = []
    for rank in range(4):
        sampler = repeat_aug.RepeatAugSampler(range(24), seed=3, **options)
        assert len(sampler) == 6
        seen.append(list(sampler))
    copies = Counter(index for indices in seen for index in indices)
    assert sorted(copies.values()) == [3] * 8  # an epoch of 24 images shows 8 of them, each three times
    assert all(len(set(indices)) == len(indices) for indices in seen)  # and never two copies to one process


def test_targets_of_mixed_images_are_smoothed():
    from mmpretrain.structures import DataSample

    torch.manual_seed(0)
    _, model, _, _ = build('ibot_vit-base-p16_8xb96-1000e_cifar10')
    samples = [DataSample().set_gt_score(torch.eye(10)[a] * 0.7 + torch.eye(10)[b] * 0.3) for a, b in ((1, 4), (2, 2))]
    scores = torch.randn(2, 10)
    smooth = [torch.full((10,), 0.1 / 10) + 0.9 * sample.gt_score for sample in samples]
    expected = -(torch.stack(smooth) * scores.log_softmax(-1)).sum(1).mean()
    assert model.head._get_loss(scores, samples)['loss'].item() == pytest.approx(expected.item(), rel=1e-6)


def test_head_starts_at_a_thousandth():
    _, model, _, _ = build('beit_vit-base-p16_8xb128-coslr-100e_in1k')
    torch.manual_seed(0)
    model.head.init_weights()
    assert model.head.fc.weight.std().item() == pytest.approx(2e-5, rel=0.05)
    assert not model.head.fc.bias.any()
