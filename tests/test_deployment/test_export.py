"""What is exported computes what the networks compute, in the runtimes that read it."""

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.config import Config

from mim_plugin.deployment import export, export_graph
from mim_plugin.deployment.files import check_target
from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.registry import MODELS

ROOT = Path(__file__).parents[2]
UPERNET = 'segmentation/ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py'
SETR = 'segmentation/beit-abs_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512.py'
LINEAR = 'segmentation/ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512.py'
CLASSIFIER = 'classification/ibot_vit-small-p16_8xb128-coslr-200e_in1k.py'
SWIN = 'detection/ibot_swin-tiny-w7_cascade-mask-rcnn_8xb2-1x_coco.py'


def session_of(path):
    return onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])


def photo(number, height, width):
    return np.random.default_rng(0).integers(0, 256, (number, 3, height, width), dtype=np.uint8)


def test_upernet_for_images_of_any_size_as_onnx(trained, tmp_path):
    cfg, weights = trained(UPERNET)
    cfg.model.data_preprocessor.test_cfg = dict(size_divisor=32)
    (found,) = export_graph(cfg, weights, tmp_path / 'deep' / 'er.onnx', dynamic=True)
    assert found.difference < 1e-5 and found.size is None and found.smallest == 64
    assert [path.name for path in found.path.parent.iterdir()] == ['er.onnx']
    session = session_of(found.path)
    (images,) = session.get_inputs()
    assert (images.name, images.type, images.shape) == ('images', 'tensor(uint8)', ['batch', 3, 'height', 'width'])
    logits, classes = session.run(None, {'images': photo(2, 71, 130)})
    assert logits.shape == (2, 150, 71, 130) and np.array_equal(logits.argmax(1), classes)


def test_setr_pup_for_images_of_any_size_as_program(trained, tmp_path):
    cfg, weights = trained(SETR)
    (found,) = export_graph(cfg, weights, tmp_path / 'model.pt2', dynamic=True)
    assert found.difference < 1e-5
    program = torch.export.load(str(found.path)).module()
    assert program(torch.from_numpy(photo(1, 90, 65)))[1].shape == (1, 90, 65)
    with pytest.raises(AssertionError, match='>= 64'):
        program(torch.from_numpy(photo(1, 48, 64)))


def test_relative_bias_has_a_graph_for_each_size(tiny_backbone, tmp_path):
    cfg, weights = tiny_backbone(pos_embed=None, relative_bias='per_block', qkv_bias='qv', layer_scale=0.1)
    with pytest.raises(ConfigError, match='--dynamic cannot be: the backbone has tables of relative position bias'):
        export_graph(cfg, weights, tmp_path / 'model.onnx', dynamic=True)
    found = export_graph(cfg, weights, tmp_path / 'model.pt2', sizes=[(64, 64), (81, 40)])
    assert [graph.path.name for graph in found] == ['model_64x64.pt2', 'model_81x40.pt2']
    assert max(graph.difference for graph in found) < 1e-5
    (found,) = export_graph(cfg, weights, tmp_path / 'model.onnx', sizes=[(40, 81)])
    assert found.difference < 1e-5 and found.outputs == ('block0', 'block1')
    assert session_of(found.path).run(['block1'], {'images': photo(3, 40, 81)})[0].shape == (3, 32, 3, 6)


def test_the_ibot_rule_for_positions_as_onnx(tiny_backbone, tmp_path):
    cfg, weights = tiny_backbone(pos_interpolation='ibot')
    (found,) = export_graph(cfg, weights, tmp_path / 'vit.onnx', dynamic=True)
    assert found.difference < 1e-5


def test_swin_of_a_detector(trained, tmp_path):
    cfg, weights = trained(SWIN)
    cfg.model.backbone.out_indices = (1,)
    (found,) = export_graph(cfg, weights, tmp_path / 'swin.pt2', sizes=[(70, 100)])
    assert found.difference < 1e-5 and found.outputs == ('stage1',)


def test_backbone_of_a_classifier(trained, tmp_path):
    cfg, weights = trained(CLASSIFIER)
    # Without a type: mmpretrain's models name the class themselves.
    cfg.model.data_preprocessor = dict(mean=[100.0, 110.0, 120.0], std=[50.0, 55.0, 60.0], to_rgb=True)
    (found,) = export_graph(cfg, weights, tmp_path / 'vit.pt2', dynamic=True)
    assert found.difference < 1e-5 and found.outputs == ('block1',)


def test_windows_as_onnx(tmp_path):
    arch = dict(embed_dims=16, depths=(2, 1), num_heads=(2, 2))
    backbone = dict(type='MIMSwinTransformer', arch=arch, img_size=(70, 100), window_size=4)
    cfg = Config(dict(default_scope='mim_plugin', model=dict(backbone=backbone)))
    torch.manual_seed(0)
    torch.save(MODELS.build(backbone).state_dict(), tmp_path / 'weights.pth')
    (found,) = export_graph(cfg, tmp_path / 'weights.pth', tmp_path / 'swin.onnx')
    assert found.difference < 1e-5 and found.size == (70, 100)
    with pytest.raises(ConfigError, match='--dynamic cannot be: MIMSwinTransformer cuts maps into windows'):
        export_graph(cfg, tmp_path / 'weights.pth', tmp_path / 'swin.onnx', dynamic=True)


def test_linear_head_as_a_user_types_it(trained, tmp_path, fresh_python):
    trained(LINEAR)
    arguments = ('config.py', 'weights.pth', 'model.pt2', '--dynamic')
    done = fresh_python(ROOT / 'tools' / 'deployment' / 'export.py', *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    line = done.stdout.strip().splitlines()[-1]
    assert line.startswith('model.pt2: images (B, 3, H, W) uint8 RGB, H and W from 64 on -> logits, classes; ')


def test_a_file_that_computes_something_else_is_not_written(tiny_backbone, tmp_path, monkeypatch):
    cfg, weights = tiny_backbone()
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/model.pt2').write_bytes(b'the last one')
    monkeypatch.setattr(export, 'TOLERANCE', -1)
    with pytest.raises(CheckpointError, match='model.pt2 was not written: its results differ from those of the net'):
        export_graph(cfg, weights, tmp_path / 'out/model.pt2')
    assert [path.read_bytes() for path in (tmp_path / 'out').iterdir()] == [b'the last one']


def test_a_file_that_its_runtime_does_not_take_is_not_written(tiny_backbone, tmp_path, monkeypatch):
    cfg, weights = tiny_backbone()
    monkeypatch.setattr(export, 'load_graph', onnxruntime.InferenceSession)  # of a program of torch
    with pytest.raises(ConfigError, match='model.pt2 was not written, its runtime does not take it .*--opset'):
        export_graph(cfg, weights, tmp_path / 'out/model.pt2')
    assert not list((tmp_path / 'out').iterdir())


@pytest.mark.parametrize(('changed', 'expected'), [(0, 0.0), (1, 0.0), (5, float('inf'))])
def test_classes_are_compared_too(changed, expected):
    classes = torch.zeros(1, 64, 64, dtype=torch.int64)
    other = classes.clone()
    other[0, 0, :changed] = 1
    assert export._difference(other, classes) == expected
    assert export._difference(other.int(), classes) == float('inf')


@pytest.mark.parametrize('name', ['folder.pt2', 'file/model.pt2', 'file/deep/model.onnx'])
def test_places_where_nothing_can_be_written(tmp_path, name):
    (tmp_path / 'folder.pt2').mkdir()
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigError, match='cannot be written; name a file in a folder where you may write'):
        check_target(tmp_path / name, None)


def test_requests_that_cannot_be(trained, tmp_path):
    cfg, weights = trained(LINEAR)
    with pytest.raises(ConfigError, match='neither .onnx .* nor .pt2'):
        export_graph(cfg, weights, tmp_path / 'model.trt')
    with pytest.raises(ConfigError, match='leave --size out'):
        export_graph(cfg, weights, tmp_path / 'model.pt2', dynamic=True, sizes=[(64, 64)])
    with pytest.raises(ConfigError, match='--size 8 64 is less than a patch of 16'):
        export_graph(cfg, weights, tmp_path / 'model.pt2', sizes=[(8, 64)])
    with pytest.raises(ConfigError, match='--opset 20 is for ONNX'):
        export_graph(cfg, weights, tmp_path / 'model.pt2', opset=20)
    with pytest.raises(ConfigError, match='has no model.decode_head'):
        bare = Config(dict(model=dict(backbone=cfg.model.backbone)))
        export_graph(bare, weights, tmp_path / 'model.pt2', part='segmentor')
    with pytest.raises(ConfigError, match='has no model.backbone'):
        export_graph(Config(dict(default_scope='mim_plugin')), weights, tmp_path / 'model.pt2')
    with pytest.raises(ConfigError, match='ProjectionHead has no out_indices'):
        head = dict(type='mim_plugin.ProjectionHead', in_dim=4, out_dim=4)
        export_graph(Config(dict(model=dict(backbone=head))), weights, tmp_path / 'model.pt2')
    with pytest.raises(CheckpointError, match='does not fit the EncoderDecoder'):
        export_graph(cfg, weights, tmp_path / 'm.pt2', cfg_options={'model.decode_head.num_classes': 7})


def test_the_extra_that_is_missing_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'onnxscript' else find(name))
    with pytest.raises(ConfigError, match='model.onnx needs onnxscript, which is not installed: .*export'):
        check_target('model.onnx', None)
    check_target('model.pt2', None)
    with pytest.raises(ConfigError, match='--opset 11 is older than 18'):
        check_target('model.onnx', 11)
