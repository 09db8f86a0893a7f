import json

import pytest
import torch
from safetensors import safe_open

from mim_plugin.checkpoints import export_pretrained, load_pretrained, read_checkpoint
from mim_plugin.checkpoints.export import model_config_of
from mim_plugin.errors import CheckpointError
from tests.test_checkpoints.tiny import make_backbone, make_ibot, official_file

CONFIG = (
    "model = dict(type='IBOT', backbone=dict(arch='small', img_size=224), crops=[1, (2, 3)], off=None)\nlr = 5e-4\n"
)


@pytest.fixture
def exported(tmp_path):
    model = make_ibot(seed=1)
    checkpoint = tmp_path / 'epoch_3.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': CONFIG}, 'optimizer': {}}, checkpoint)
    return model, export_pretrained(checkpoint, tmp_path / 'small.safetensors')


def test_the_file_holds_one_network_in_half_precision(exported):
    model, path = exported
    with safe_open(path, 'pt') as file:
        meta, names = file.metadata(), set(file.keys())
        assert all(file.get_tensor(name).dtype == torch.float16 for name in names)
    assert names == set(model.state_dict()) - {n for n in model.state_dict() if n.startswith('tokenizer.')}
    assert meta['format'] == 'mim_plugin' and meta['network'] == 'teacher' and meta['version']
    wanted = {'type': 'IBOT', 'backbone': {'arch': 'small', 'img_size': 224}, 'crops': [1, [2, 3]], 'off': None}
    assert json.loads(meta['config']) == {'model': wanted}


def test_a_backbone_takes_it(exported):
    model, path = exported
    backbone = make_backbone()
    load_pretrained(backbone, path)
    for name, value in model.tokenizer.backbone.state_dict().items():
        torch.testing.assert_close(backbone.state_dict()[name], value.half().float(), rtol=0, atol=0)
    assert backbone.cls_token.dtype == torch.float32


def check_continued(model, other):
    after, source = other.state_dict(), model.state_dict()
    for name in (n for n in source if n.startswith('tokenizer.')):
        half = source[name].half().float()
        assert torch.equal(after[name], half), name
        assert torch.equal(after[name.removeprefix('tokenizer.')], half), name
    for name in ('backbone.mask_token', 'loss_module.center', 'loss_module.center2'):
        assert torch.equal(after[name], source[name].half().float()), name


@pytest.mark.parametrize('head', [{}, {'norm': 'bn'}])
def test_a_pretraining_goes_on_from_it_with_student_equal_to_teacher(tmp_path, head):
    model, other = make_ibot(seed=1, head=head), make_ibot(seed=2, head=head)
    path = export_pretrained({'state_dict': model.state_dict()}, tmp_path / 'a.safetensors')
    report = load_pretrained(other, path)
    check_continued(model, other)
    assert 'for student and teacher' in str(report)


def test_init_cfg_and_load_from_do_the_same(exported):
    from mmengine.runner.checkpoint import load_checkpoint

    model, path = exported
    other = make_ibot(seed=2)
    other.init_cfg = {'type': 'Pretrained', 'checkpoint': str(path)}
    other.init_weights()
    check_continued(model, other)
    third = make_ibot(seed=3)
    load_checkpoint(third, str(path), strict=True)
    check_continued(model, third)


def test_parts_and_official_sources(tmp_path):
    model = make_ibot(seed=1)
    official = official_file(model, tmp_path / 'checkpoint.pth')
    path = export_pretrained(official, tmp_path / 'b' / 'backbone.safetensors', torch.float32, parts=('backbone',))
    state = read_checkpoint(path)['state_dict']
    assert all(name.startswith('backbone.') for name in state)
    assert torch.equal(state['backbone.cls_token'], model.tokenizer.backbone.cls_token)
    assert sorted(p.name for p in path.parent.iterdir()) == ['backbone.safetensors']


def test_errors(tmp_path):
    state = {'state_dict': make_ibot().state_dict()}
    with pytest.raises(CheckpointError, match='safetensors'):
        export_pretrained(state, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match="'optimizer'"):
        export_pretrained(state, tmp_path / 'a.safetensors', parts=('optimizer',))
    with pytest.raises(CheckpointError, match='to export'):
        export_pretrained(make_backbone().state_dict(), tmp_path / 'a.safetensors', parts=('loss',))


def test_a_config_is_read_as_data():
    hostile = "model = dict(type=__import__('os').system('true'))"
    assert model_config_of({'meta': {'cfg': hostile}}) == {}
    assert model_config_of({}) == {} and model_config_of({'meta': {'cfg': 'x = ('}}) == {}
