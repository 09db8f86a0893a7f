"""Every config of the project: builds at full size, feeds, schedules, and trains or tests after shrink().

New configs are found by themselves.
"""

import ast
import inspect
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner

from mim_plugin.apis.config_tree import type_name, walk_dicts
from mim_plugin.apis.run import build_runner, prepare_config
from mim_plugin.apis.run import test as run_test
from mim_plugin.datasets.transforms import MultiCrop
from mim_plugin.models.backbones.vision_transformer import ARCHS
from mim_plugin.testing.shrink import generate_data, shrink

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)
# Backbone parameters of the published models: 16-pixel patches, 224 x 224 pixels, without mask token.
PUBLISHED_PARAMETERS = {'tiny': 5_524_416, 'small': 21_665_664, 'base': 85_798_656, 'large': 303_301_632}


@pytest.fixture(autouse=True)
def unformatted_config_texts(monkeypatch):
    """A run formats its config's text for every checkpoint, which takes longer than the run and is not read here."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: repr(cfg.to_dict())))


def read(path: str) -> Config:
    cfg = Config.fromfile(ROOT / path)
    if cfg.get('default_scope') == 'mmseg':
        pytest.importorskip('mmseg')
    elif cfg.get('default_scope') == 'mmdet':
        pytest.importorskip('mmdet')
    elif cfg.get('default_scope') == 'mmpretrain':
        pytest.importorskip('mmpretrain')
    return cfg


def in_scope(cfg: Config):
    return DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mim_plugin'))


def dataloaders(cfg: Config) -> list[dict]:
    return [entry for _, entry in walk_dicts(cfg) if 'batch_size' in entry and 'pipeline' in entry.get('dataset', {})]


def test_configs_are_found():
    assert len(CONFIGS) >= 13


@pytest.mark.parametrize('path', CONFIGS)
def test_header_says_what_the_config_is_and_how_to_run_it(path):
    header = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding='utf-8')))
    assert header, f'{path} has no docstring'
    named = [word.rstrip('.,;:') for word in header.split() if word.startswith(('configs/', 'tools/'))]
    assert any(word.startswith('tools/') for word in named), f'{path} does not name its command'
    for name in named:
        assert (ROOT / name).is_file(), f'{path} names {name}, which does not exist'
    run = [word for word in named if word.startswith('configs/')]
    assert not run or path in run, f'{path} names the command of another config only'


@pytest.mark.parametrize('path', CONFIGS)
def test_full_size_model_optimizer_and_schedules(path):
    cfg = prepare_config(read(path), work_dir='unused')
    with in_scope(cfg), torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert_published_size(cfg, model)
    if not cfg.get('optim_wrapper'):
        return

    with in_scope(cfg):
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    grouped = {id(p) for group in wrapper.optimizer.param_groups for p in group['params']}
    assert grouped == {id(p) for p in model.parameters() if p.requires_grad}

    end = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
    with in_scope(cfg):
        schedulers = [
            PARAM_SCHEDULERS.build({'end': end, **entry}, default_args=dict(optimizer=wrapper, epoch_length=100))
            for entry in cfg.get('param_scheduler') or []
        ]
    peak = cfg.optim_wrapper.optimizer.lr
    for _ in range(3):
        assert all(0 <= group['lr'] <= peak for group in wrapper.optimizer.param_groups)
        wrapper.optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


# Swin-T by its window, without mask token, counted in the lists of names of the published checkpoints.
PUBLISHED_SWIN_TINY = {7: 27_519_354, 14: 27_569_754}


def assert_published_size(cfg: Config, model: torch.nn.Module) -> None:
    """Compare with the published number of the plain ViT, corrected for what the config adds and leaves out."""
    entry = cfg.model.get('backbone', {})
    if type_name(entry) == 'MIMSwinTransformer' and entry.get('arch', 'tiny') == 'tiny':
        expected = PUBLISHED_SWIN_TINY[entry.get('window_size', 7)] + entry.get('mask_token', False) * 96
        expected += sum(2 * 96 * 2**stage for stage in entry.get('out_indices', ()) if 0 <= stage < 3)  # their norms
        assert sum(p.numel() for p in model.backbone.parameters()) == expected
    if type_name(entry) != 'MIMVisionTransformer' or not isinstance(entry.get('arch', 'base'), str):
        return
    if entry.get('patch_size', 16) != 16:
        return
    arch = entry.get('arch', 'base')
    width, depth, heads = (ARCHS[arch][key] for key in ('embed_dims', 'num_layers', 'num_heads'))
    size = entry.get('img_size', 224)
    rows, columns = (side // 16 for side in ((size, size) if isinstance(size, int) else size))
    expected = PUBLISHED_PARAMETERS[arch] + (rows * columns - 196) * width + entry.get('mask_token', False) * width
    if entry.get('pos_embed', 'absolute') is None:
        expected -= (1 + rows * columns) * width
    if entry.get('final_norm') == 'none':
        expected -= 2 * width
    if entry.get('qkv_bias', 'qkv') == 'qv':
        expected -= depth * width
    if entry.get('layer_scale', 0) > 0:
        expected += 2 * depth * width
    tables = {'shared': 1, 'per_block': depth, None: 0}[entry.get('relative_bias')]
    expected += tables * ((2 * rows - 1) * (2 * columns - 1) + 3) * heads
    assert sum(p.numel() for p in model.backbone.parameters()) == expected


@pytest.mark.parametrize('path', CONFIGS)
def test_full_size_pipelines_on_generated_images(path, tmp_path):
    cfg = read(path)
    generate_data(cfg, tmp_path)
    seen = set()
    for loader in dataloaders(cfg):
        key = str(loader['dataset'])
        if key in seen:
            continue
        seen.add(key)
        with in_scope(cfg):
            dataset = DATASETS.build(loader['dataset'])
        if hasattr(dataset, 'set_epoch'):  # the training loop does it
            dataset.set_epoch(0)
        sample = dataset[0]
        steps = {type_name(entry): entry for entry in loader['dataset']['pipeline']}
        if 'MultiCrop' in steps:
            patch_size = steps.get('PredictionMasks', {}).get('patch_size', 16)
            assert_views(sample['inputs'], {**MULTI_CROP_DEFAULTS, **steps['MultiCrop']}, patch_size)
        elif 'TwoResolutionCrop' in steps:
            assert_two_views(sample['inputs'], steps['TwoResolutionCrop'], steps['BEiTMasks'])
        elif 'CachedTokenCrop' in steps:
            assert_two_views(sample['inputs'], {**steps['CachedTokenCrop'], 'target_size': None}, steps['BEiTMasks'])
            assert sample['inputs']['ids'][0].shape == sample['inputs']['mask'][0].shape
        else:
            assert torch.is_tensor(sample['inputs'])


MULTI_CROP_DEFAULTS = {name: p.default for name, p in inspect.signature(MultiCrop).parameters.items()}


def assert_views(views: dict, crops: dict, patch_size: int) -> None:
    assert len(views['global']) == crops['global_crops']
    assert len(views['local']) == crops['local_crops']
    assert {tuple(crop.shape) for crop in views['global']} == {(3, crops['global_size'], crops['global_size'])}
    if crops['local_crops']:
        assert {tuple(crop.shape) for crop in views['local']} == {(3, crops['local_size'], crops['local_size'])}
    if 'mask' in views:
        cells = crops['global_size'] // patch_size
        assert {tuple(mask.shape) for mask in views['mask']} == {(cells, cells)}


def assert_two_views(views: dict, crop: dict, masks: dict) -> None:
    size, target_size = crop.get('size', 224), crop.get('target_size', 112)
    assert [tuple(view.shape) for view in views['global']] == [(3, size, size)]
    targets = [] if target_size is None else [(3, target_size, target_size)]
    assert [tuple(view.shape) for view in views.get('target', [])] == targets
    cells = size // masks.get('patch_size', 16)
    assert [tuple(mask.shape) for mask in views['mask']] == [(cells, cells)]
    hidden, wanted = int(views['mask'][0].sum()), masks.get('num_masked', 75)
    assert 0 < hidden <= (wanted if wanted >= 1 else wanted * cells**2)


@pytest.mark.parametrize('path', CONFIGS)
def test_shrink_keeps_types_keys_and_relations(path, tmp_path):
    cfg = read(path)
    before, after = structure(cfg), structure(shrink(cfg, tmp_path))
    assert list(before) == list(after)
    for key, (kind, keys) in before.items():
        assert after[key][0] == kind
        assert not after[key][1] - keys - ADDED, f'{key} has got {after[key][1] - keys - ADDED}'
    assert before == structure(cfg), 'shrink() changed its argument'


# What a config may leave to a default but a small one says.
ADDED = {
    'arch', 'data_root', 'load_from', 'metainfo', 'min_per_block', 'num_masked', 'num_workers', 'persistent_workers',
    'resume', 'val_interval',
}  # fmt: skip
def structure(cfg: Config) -> dict[str, tuple[str, set[str]]]:
    """Type and keys of every dict; a named architecture may become a dict, a starting checkpoint may go."""
    free = ('init_cfg', 'arch', 'metainfo')
    found = {key: (type_name(entry), set(entry)) for key, entry in walk_dicts(cfg) if not key.endswith(free)}
    # Random ids are of no tokenizer, so what a token cache is compared with goes, too.
    return {key: entry for key, entry in found.items() if '.tokenizer.tokenizer' not in key}


@pytest.mark.parametrize('path', CONFIGS)
def test_shrunken_config_runs(path, tmp_path, monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', property(repr))  # its layout takes longer than the training
    cfg = prepare_config(shrink(read(path), tmp_path), work_dir=str(tmp_path / 'work'))
    cfg.experiment_name = tmp_path.name  # two runs within one second would share their logs
    if not cfg.get('train_cfg'):
        assert all(math.isfinite(value) for value in run_test(cfg).values())
        return
    runner = build_runner(cfg)
    before = {name: p.detach().clone() for name, p in runner.model.named_parameters() if p.requires_grad}
    runner.train()
    losses = {key: s.current() for key, s in runner.message_hub.log_scalars.items() if 'loss' in key}
    assert losses
    assert all(math.isfinite(value) for value in losses.values()), losses
    changed = [name for name, p in runner.model.named_parameters() if name in before and not p.equal(before[name])]
    assert len(changed) > len(before) / 2


@pytest.mark.slow
def test_full_size_vit_small_takes_a_step(tmp_path):
    cfg = read('configs/ibot/ibot_vit-small-p16_16xb64-coslr-800e_in1k.py')
    generate_data(cfg, tmp_path)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_cfg.max_epochs = 1
    cfg.param_scheduler[0].warmup_epochs = 0
    cfg.default_hooks.logger.interval = 1
    runner = Runner.from_cfg(prepare_config(cfg, work_dir=str(tmp_path / 'work')))
    before = runner.model.backbone.cls_token.detach().clone()
    runner.train()
    # Two views agree by chance at the start: the cross-entropy is that of a guess among the 8192 prototypes.
    assert runner.message_hub.get_scalar('train/loss_cls').current() == pytest.approx(math.log(8192), rel=0.05)
    assert not runner.model.backbone.cls_token.equal(before)
