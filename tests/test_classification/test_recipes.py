"""The configs of classification against the published figures."""

import math
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.run import prepare_config

pytest.importorskip('mmpretrain')
ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'classification'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))

# batch, epochs, warm-up epochs, lr, layer decay, weight decay, drop path, clip, repeated augmentation
FINE_TUNING = {
    'beit_vit-base-p16_8xb128-coslr-100e_in1k': (1024, 100, 20, 4e-3, 0.65, 0.05, 0.1, None, False),
    'beit_vit-large-p16_8xb64-coslr-50e_in1k': (1024, 50, 5, 1e-3, 0.75, 0.05, 0.2, None, False),
    'beit-abs_vit-base-p16_8xb128-coslr-100e_in1k': (1024, 100, 20, 4e-3, 0.65, 0.05, 0.1, None, True),
    'beit-abs_vit-base-p16_4xb128-coslr-150e_cifar100': (512, 150, 20, 4e-3, 0.65, 0.3, 0.1, None, True),
    'beit-abs_vit-large-p16_8xb64-coslr-30e_in1k': (1024, 30, 5, 2e-3, 0.75, 0.05, 0.1, None, False),
    'beit-abs-ft1k_vit-base-p16_8xb32-coslr-10e_in1k-384x384': (512, 10, 2, 2e-5, 0.85, 1e-8, 0.1, None, False),
    'beit-abs-ft1k_vit-large-p16_8xb16-coslr-10e_in1k-384x384': (512, 10, 2, 2e-5, 0.9, 1e-8, 0.4, None, False),
    'beit_vit-base-p16_16xb256-coslr-90e_in22k': (4096, 90, 5, 3e-3, 0.65, 0.05, 0.2, 3.0, False),
    'beit_vit-large-p16_16xb64-coslr-90e_in22k': (2048, 90, 5, 2e-3, 0.75, 0.05, 0.2, 1.0, False),
    'beit-ft22k_vit-base-p16_8xb64-coslr-30e_in1k': (512, 30, 5, 2e-5, 0.85, 1e-8, 0.1, None, False),
    'beit-ft22k_vit-base-p16_8xb32-coslr-30e_in1k-384x384': (512, 30, 5, 2e-5, 0.85, 1e-8, 0.1, None, False),
    'beit-ft22k_vit-large-p16_8xb32-coslr-30e_in1k': (512, 30, 5, 2e-5, 0.9, 1e-8, 0.4, None, False),
    'beit-ft22k_vit-large-p16_8xb16-coslr-30e_in1k-384x384': (512, 30, 5, 2e-5, 0.9, 1e-8, 0.4, None, False),
    'beit-ft22k_vit-large-p16_8xb8-coslr-30e_in1k-512x512': (512, 30, 5, 2e-5, 0.9, 1e-8, 0.4, None, False),
    'ibot_vit-small-p16_8xb128-coslr-200e_in1k': (1024, 200, 20, 1e-3, 0.75, 0.05, 0.1, None, False),
    'ibot_vit-base-p16_8xb128-coslr-100e_in1k': (1024, 100, 20, 1e-3, 0.65, 0.05, 0.2, None, False),
    'ibot_vit-large-p16_8xb64-coslr-50e_in1k': (1024, 50, 5, 1e-3, 0.75, 0.05, 0.4, None, False),
    'ibot_swin-tiny-w7_8xb128-coslr-200e_in1k': (1024, 200, 20, 1e-3, 0.75, 0.05, 0.1, None, False),
    'ibot-in22k_vit-large-p16_8xb16-coslr-50e_in1k-384x384': (1024, 50, 5, 1e-3, 0.75, 0.05, 0.4, None, False),
    'ibot-in22k_vit-large-p16_8xb8-coslr-50e_in1k-512x512': (1024, 50, 5, 1e-3, 0.75, 0.05, 0.4, None, False),
}
# lr argument of the published command, for 512 images; epochs, classes, probability of random erasing
TRANSFER = {
    'ibot_vit-base-p16_8xb96-1000e_cifar10': (7.5e-6, 1000, 10, 0.25),
    'ibot_vit-base-p16_8xb96-1000e_cifar100': (7.5e-6, 1000, 100, 0.25),
    'ibot_vit-base-p16_8xb96-1000e_flowers102': (7.5e-6, 1000, 102, 0.25),
    'ibot_vit-base-p16_8xb96-1000e_cars': (7.5e-5, 1000, 196, 0.25),
    'ibot_vit-base-p16_8xb96-360e_inat18': (7.5e-6, 360, 8142, 0.1),
    'ibot_vit-base-p16_8xb96-360e_inat19': (7.5e-6, 360, 1010, 0.1),
    'ibot_vit-small-p16_8xb96-360e_inat18': (5e-5, 360, 8142, 0.1),
    'ibot_vit-small-p16_8xb96-360e_inat19': (2.5e-5, 360, 1010, 0.1),
    'ibot-semi_vit-small-p16_8xb128-1000e_in1k-1percent': (5e-6, 1000, 1000, 0.25),
    'ibot-semi_vit-small-p16_8xb128-1000e_in1k-10percent': (5e-6, 1000, 1000, 0.25),
}
OTHERS = {'ibot-linear_vit-small-p16_8xb128-coslr-100e_in1k', 'ibot_vit-small-p16_1xb64-coslr-50e_custom'}


def read(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


def batch_of(name: str, cfg: Config) -> int:
    processes, batch = map(int, re.search(r'_(\d+)xb(\d+)-', name).groups())
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == processes * batch  # mmengine counts an iteration, not a step
    return processes * batch * cfg.optim_wrapper.get('accumulative_counts', 1)


def step_of(pipeline: list, kind: str) -> dict | None:
    return next((step for step in pipeline if type_name(step) == kind), None)


@pytest.mark.parametrize('name', NAMES)
def test_one_variable_moves_the_data(name):
    cfg = prepare_config(read(name), work_dir='unused', cfg_options=dict(data_root='/elsewhere'))
    loaders = [cfg[key] for key in ('train_dataloader', 'val_dataloader', 'test_dataloader') if cfg.get(key)]
    assert {loader.dataset.data_root.rstrip('/') for loader in loaders} == {'/elsewhere'}


def pipelines(cfg: Config) -> tuple[list, list | None]:
    loader = cfg.get('val_dataloader')
    return cfg.train_dataloader.dataset.pipeline, loader and loader.dataset.pipeline


def test_every_config_is_held_to_figures():
    assert set(NAMES) == FINE_TUNING.keys() | TRANSFER.keys() | OTHERS


@pytest.mark.parametrize('name', FINE_TUNING)
def test_fine_tuning(name):
    cfg = read(name)
    optimizer, (schedule,) = cfg.optim_wrapper.optimizer, cfg.param_scheduler
    found = (
        batch_of(name, cfg),
        cfg.train_cfg.max_epochs,
        schedule.warmup_epochs,
        optimizer.lr,
        cfg.optim_wrapper.paramwise_cfg.layer_decay_rate,
        optimizer.weight_decay,
        cfg.model.backbone.drop_path_rate,
        (cfg.optim_wrapper.get('clip_grad') or {}).get('max_norm'),
        type_name(cfg.train_dataloader.sampler) == 'RepeatAugSampler',
    )
    assert found == FINE_TUNING[name]
    assert (optimizer.type, optimizer.betas, optimizer.eps, schedule.eta_min) == ('AdamW', (0.9, 0.999), 1e-8, 1e-6)
    assert cfg.model.head.init_cfg.std == pytest.approx(0.02 * 0.001)
    assert_mixing(cfg, mixed=name.startswith('ibot') or not ('22k' in name or 'ft1k' in name))
    assert bool(cfg.get('load_from')) == ('ft1k' in name) != bool(cfg.model.backbone.init_cfg)


@pytest.mark.parametrize('name', TRANSFER)
def test_transfer_and_few_labels(name):
    cfg = read(name)
    lr, epochs, classes, erasing = TRANSFER[name]
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(lr * batch_of(name, cfg) / 512)
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.data_preprocessor.num_classes == cfg.model.head.num_classes == classes
    assert step_of(pipelines(cfg)[0], 'RandomErasing')['erase_prob'] == erasing
    sampler = cfg.train_dataloader.sampler
    assert type_name(sampler) == 'RepeatAugSampler' and sampler.num_repeats == 3
    assert cfg.optim_wrapper.optimizer.weight_decay == 0.05 and not cfg.optim_wrapper.get('paramwise_cfg')
    assert cfg.model.backbone.drop_path_rate == 0.1
    assert step_of(pipelines(cfg)[1], 'ResizeEdge')['interpolation'] == 'bicubic'
    assert_mixing(cfg, mixed=True)


def assert_mixing(cfg: Config, mixed: bool) -> None:
    augments = (cfg.model.train_cfg or {}).get('augments', [])
    found = [(type_name(entry), entry['alpha']) for entry in augments]
    assert found == ([('Mixup', 0.8), ('CutMix', 1.0)] if mixed else [])
    assert (type_name(cfg.model.head.loss), cfg.model.head.loss.label_smooth_val) == ('LabelSmoothLoss', 0.1)


@pytest.mark.parametrize('name', NAMES)
def test_statistics_and_sizes_belong_to_the_family(name):
    cfg = read(name)
    of_beit, size = name.startswith('beit'), cfg.model.backbone.img_size
    mean, std = ([127.5] * 3, [127.5] * 3) if of_beit else ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert (cfg.data_preprocessor.mean, cfg.data_preprocessor.std) == (mean, std)
    train, val = pipelines(cfg)
    # Images from files are BGR until the preprocessor turns them; those of CIFAR are RGB from the start.
    order = slice(None, None, -1) if cfg.data_preprocessor.to_rgb else slice(None)
    assert cfg.data_preprocessor.to_rgb == (step_of(train, 'LoadImageFromFile') is not None)
    if augment := step_of(train, 'RandAugment'):
        assert augment['hparams']['pad_val'] == [math.floor(value + 0.5) for value in mean][order]
    if erasing := step_of(train, 'RandomErasing'):
        assert (erasing['fill_color'], erasing['fill_std']) == (mean[order], std[order])
    assert step_of(train, 'RandomResizedCrop')['scale'] == size
    if val is not None:
        assert step_of(val, 'CenterCrop')['crop_size'] == size
        assert step_of(val, 'ResizeEdge')['scale'] == (256 if size == 224 else size)
        if name in FINE_TUNING:
            assert step_of(val, 'ResizeEdge')['interpolation'] == ('bicubic' if of_beit else 'bilinear')
    backbone = cfg.model.backbone
    if backbone.type == 'mim_plugin.MIMSwinTransformer':
        assert cfg.model.neck.type == 'mmpretrain.GlobalAveragePooling'
        return
    assert backbone.out_type == ('avg_featmap' if of_beit else 'cls_token')
    assert backbone.get('mean_pooling', False) == of_beit
