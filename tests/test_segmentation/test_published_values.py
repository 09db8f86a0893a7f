"""The ADE20K configs against what the papers and their published commands and files say."""

import functools
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, DefaultScope

from mim_plugin.apis.config_tree import type_name
from mim_plugin.checkpoints.contents import network_of

pytest.importorskip('mmseg')
FOLDER = Path(__file__).parents[2] / 'configs/segmentation'

# lr, layer decay, drop path, images a step and GPU, iterations of a step, warm-up, crop
UPERNET = {
    'beit_vit-base-p16_upernet_8xb2-160k_ade20k-512x512': (7e-4, 0.65, 0.1, 2, 1, 1500, 512),
    'beit-ft22k_vit-base-p16_upernet_8xb2-160k_ade20k-512x512': (3e-5, 0.9, 0.1, 2, 1, 1500, 512),
    'beit-ft22k_vit-base-p16_upernet_8xb2-160k_ade20k-640x640': (3e-5, 0.9, 0.1, 2, 1, 1500, 640),
    'beit-ft22k_vit-large-p16_upernet_8xb2-160k_ade20k-512x512': (2e-5, 0.95, 0.2, 2, 1, 1500, 512),
    'beit-ft22k_vit-large-p16_upernet_8xb1-320k_ade20k-640x640': (2e-5, 0.95, 0.2, 1, 2, 3000, 640),
    'ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512': (3e-5, 0.9, 0.1, 4, 1, 1500, 512),
    'ibot_vit-base-p16_upernet_8xb2-160k_ade20k-512x512': (8e-5, 0.65, 0.1, 2, 1, 1500, 512),
    'ibot_vit-base-p16_upernet_8xb2-160k_ade20k-640x640': (3e-5, 0.9, 0.1, 2, 1, 1500, 640),
    'ibot_vit-large-p16_upernet_8xb2-160k_ade20k-512x512': (2e-5, 0.95, 0.2, 2, 1, 1500, 512),
    'ibot_vit-large-p16_upernet_8xb1-320k_ade20k-640x640': (2e-5, 0.95, 0.2, 1, 2, 3000, 640),
}
SETR = {
    'beit-abs_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512': (1e-3, 0.65, 0.1, 2, 1, 1500, 512),
    'beit_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512': (1e-3, 0.65, 0.1, 2, 1, 1500, 512),
}
LINEAR = {
    'ibot_vit-small-p16_linear_4xb4-160k_ade20k-512x512': (3e-5, 1.0, 0.0, 4, 1, 1500, 512),
    'ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512': (8e-4, 1.0, 0.0, 4, 1, 1500, 512),
    'ibot-nonorm_vit-base-p16_linear_4xb4-160k_ade20k-512x512': (8e-4, 1.0, 0.0, 4, 1, 1500, 512),
    'ibot_vit-base-p16_linear_8xb2-160k_ade20k-640x640': (3e-5, 1.0, 0.0, 2, 1, 1500, 640),
    'ibot_vit-large-p16_linear_8xb2-160k_ade20k-512x512': (2e-5, 1.0, 0.0, 2, 1, 1500, 512),
    'ibot_vit-large-p16_linear_8xb1-320k_ade20k-640x640': (2e-5, 1.0, 0.0, 1, 2, 3000, 640),
}
WIDTHS = {'small': 384, 'base': 768, 'large': 1024}


@functools.cache
def read(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


@functools.cache
def on_meta(name: str) -> torch.nn.Module:
    """The model at full size, without memory."""
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        return MODELS.build(read(name).model).eval()


def test_every_ade20k_config_is_compared():
    assert {path.stem for path in FOLDER.glob('*_ade20k-*.py')} == {*UPERNET, *SETR, *LINEAR}


@pytest.mark.parametrize('name', [*UPERNET, *SETR, *LINEAR])
def test_optimisation_and_sizes(name):
    lr, decay, drop_path, batch, accumulated, warmup, crop = {**UPERNET, **SETR, **LINEAR}[name]
    cfg = read(name)
    wrapper, model = cfg.optim_wrapper, cfg.model
    assert wrapper.optimizer == dict(type='AdamW', lr=lr, betas=(0.9, 0.999), weight_decay=0.05)
    assert wrapper.constructor == 'mim_plugin.LayerDecayOptimWrapperConstructor'
    paramwise = dict(wrapper.paramwise_cfg)
    assert ('custom_keys' in paramwise) == (name in LINEAR)
    paramwise.pop('custom_keys', None)
    assert paramwise == dict(layer_decay_rate=decay, originals=True)
    assert wrapper.get('accumulative_counts', 1) == accumulated
    assert cfg.train_dataloader.batch_size == batch
    gpus = int(name.split('xb')[0].split('_')[-1])
    assert gpus * batch * accumulated == 16 and f'{gpus}xb{batch}' in name
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.train_cfg.max_iters == 160_000 * accumulated and warmup == 1500 * accumulated

    steps = {type_name(step): step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandomResize'].scale == (4 * crop, crop) and steps['RandomResize'].ratio_range == (0.5, 2.0)
    assert steps['RandomCrop'] == dict(type='RandomCrop', crop_size=(crop, crop), cat_max_ratio=0.75)
    stride = {512: 341, 640: 426}[crop]
    assert model.test_cfg == dict(mode='slide', crop_size=(crop, crop), stride=(stride, stride))
    assert model.data_preprocessor.size == (crop, crop) and model.backbone.img_size == crop
    assert model.backbone.drop_path_rate == drop_path
    large = model.backbone.arch == 'large'
    assert model.backbone.out_indices == ((7, 11, 15, 23) if large else (3, 5, 7, 11))
    assert model.decode_head.num_classes == 150


@pytest.mark.parametrize('name', [*UPERNET, *LINEAR, *SETR])
def test_what_tells_the_families_apart(name):
    backbone = read(name).model.backbone
    if name.startswith('ibot'):
        assert backbone.pos_interpolation == 'ibot'
        assert backbone.final_norm == ('none' if 'nonorm' in name else 'all')
        assert {'relative_bias', 'qkv_bias', 'layer_scale'}.isdisjoint(backbone)
        return
    assert backbone.final_norm == 'none' and backbone.qkv_bias == 'qv'
    if name.startswith('beit-abs'):
        assert backbone.pos_interpolation == 'bilinear'
        assert {'pos_embed', 'relative_bias', 'layer_scale'}.isdisjoint(backbone)
        return
    assert backbone.pos_embed is None and backbone.relative_bias == 'per_block'
    assert backbone.layer_scale == (1e-6 if backbone.arch == 'large' else 0.1)


def test_learning_rate_is_the_line_times_the_warmup():
    cfg = read('ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512')
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [PARAM_SCHEDULERS.build(dict(entry, optimizer=optimizer)) for entry in cfg.param_scheduler]
    optimizer.step()
    for iteration in range(1550):
        ramp = min(1.0, 1e-6 + (1 - 1e-6) * iteration / 1500)
        assert optimizer.param_groups[0]['lr'] == pytest.approx(ramp * (1 - iteration / 160_000), rel=1e-6)
        for scheduler in schedulers:
            scheduler.step()


def test_twice_the_iterations_have_twice_the_schedule():
    single = read('ibot_vit-large-p16_upernet_8xb2-160k_ade20k-512x512').param_scheduler
    double = read('ibot_vit-large-p16_upernet_8xb1-320k_ade20k-640x640').param_scheduler
    assert [entry.end - 1 for entry in double] == [2 * (entry.end - 1) for entry in single]
    assert [dict(entry, end=0) for entry in double] == [dict(entry, end=0) for entry in single]


def test_names_and_shapes_are_those_of_the_published_segmenter():
    """``tools/test.py`` reads the released file: 163 M parameters (README of BEiT)."""
    case = json.loads((FOLDER.parents[1] / 'tests/golden/keys_beit_seg/case.json').read_text())
    published = case['expected']['models']['upernet_beit_base_640_ade20k (150 classes)']
    shapes = {name: spec.split('[')[1].rstrip(']') for name, spec in published['keys'].items()}
    theirs, _ = network_of({name: torch.empty(_ints(shape), device='meta') for name, shape in shapes.items()})
    model = on_meta('beit-ft22k_vit-base-p16_upernet_8xb2-160k_ade20k-640x640')
    ours = {name: value.shape for name, value in model.state_dict().items() if not name.endswith('position_index')}
    assert {name: value.shape for name, value in theirs.items()} == ours
    assert sum(p.numel() for p in model.parameters()) == published['parameters'] == 163_407_980


def _ints(shape: str) -> tuple[int, ...]:
    return tuple(map(int, shape.split(','))) if shape else ()


def test_published_size_of_the_large_segmenter():
    model = on_meta('beit-ft22k_vit-large-p16_upernet_8xb1-320k_ade20k-640x640')
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == 441


def test_layer_decay_leaves_heads_at_the_peak_and_decays_positions():
    cfg = read('ibot_vit-base-p16_upernet_8xb2-160k_ade20k-512x512')
    model = on_meta('ibot_vit-base-p16_upernet_8xb2-160k_ade20k-512x512')
    wrapper_cfg = dict(cfg.optim_wrapper, type='mim_plugin.MIMOptimWrapper')
    del wrapper_cfg['dtype']
    groups = build_optim_wrapper(model, wrapper_cfg).optimizer.param_groups
    of = {id(p): group for group in groups for p in group['params']}
    for part in (model.neck, model.decode_head, model.auxiliary_head, model.backbone.ln1):
        assert {of[id(p)]['lr'] for p in part.parameters()} == {8e-5}
    positions = of[id(model.backbone.pos_embed)]
    assert positions['lr'] == pytest.approx(8e-5 * 0.65**13) and positions['weight_decay'] == 0.05
    assert of[id(model.backbone.layers[11].ffn.layers[0][0].weight)]['lr'] == pytest.approx(8e-5 * 0.65)


@pytest.mark.parametrize('name', SETR)
def test_setr_doubles_four_times_to_the_image(name):
    model = on_meta(name)
    assert len(model.decode_head.up_convs) == 4 and model.decode_head.in_index == 3
    assert {module[0].conv.out_channels for module in model.decode_head.up_convs} == {256}
    maps = model.extract_feat(torch.zeros(1, 3, 512, 512, device='meta'))
    assert [tuple(level.shape) for level in maps] == [(1, 768, 32, 32)] * 4
    assert model.decode_head(maps).shape == (1, 150, 512, 512)
    assert [head.in_index for head in model.auxiliary_head] == [0, 1, 2]
    assert {head.loss_decode.loss_weight for head in model.auxiliary_head} == {0.4}
    assert {tuple(head(maps).shape) for head in model.auxiliary_head} == {(1, 150, 128, 128)}


@pytest.mark.parametrize('name', UPERNET)
def test_upernet_has_the_width_of_its_backbone(name):
    model, crop, width = on_meta(name), UPERNET[name][6], WIDTHS[read(name).model.backbone.arch]
    maps = model.extract_feat(torch.zeros(1, 3, crop, crop, device='meta'))
    assert [tuple(level.shape[1:]) for level in maps] == [(width, crop // s, crop // s) for s in (4, 8, 16, 32)]
    assert model.decode_head(maps).shape == (1, 150, crop // 4, crop // 4)
    assert model.decode_head.channels == width and model.decode_head.loss_decode.loss_weight == 1.0
    auxiliary = model.auxiliary_head
    assert (auxiliary.in_index, auxiliary.channels, auxiliary.loss_decode.loss_weight) == (2, 256, 0.4)
    assert model.decode_head.dropout_ratio == auxiliary.dropout_ratio == 0.1


@pytest.mark.parametrize('name', LINEAR)
def test_linear_head_is_one_matrix_on_four_frozen_blocks(name):
    model, crop, width = on_meta(name), LINEAR[name][6], WIDTHS[read(name).model.backbone.arch]
    trained = {key: tuple(p.shape) for key, p in model.named_parameters() if p.requires_grad}
    assert trained == {'decode_head.conv_seg.weight': (150, 4 * width, 1, 1), 'decode_head.conv_seg.bias': (150,)}
    assert not model.with_auxiliary_head and model.decode_head.dropout is None
    wrapper_cfg = dict(read(name).optim_wrapper, type='mim_plugin.MIMOptimWrapper')
    del wrapper_cfg['dtype']
    (group,) = build_optim_wrapper(model, wrapper_cfg).optimizer.param_groups
    assert len(group['params']) == 2 and (group['lr'], group['weight_decay']) == (LINEAR[name][0], 0.05)
    maps = model.extract_feat(torch.zeros(1, 3, crop, crop, device='meta'))
    assert model.decode_head(maps).shape == (1, 150, crop // 16, crop // 16)
    try:
        assert not model.train().backbone.layers[-1].training
    finally:
        model.eval()
