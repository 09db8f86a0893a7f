"""A backbone of a downstream task starts from a pretraining checkpoint, or is tested at another size."""

import pytest
import torch
from mmengine.model import BaseModule

from mim_plugin.checkpoints.formats.ibot import backbone_to_official
from mim_plugin.models.backbones import MIMVisionTransformer
from mim_plugin.models.layers import resize_positions

OPTIONS = {
    'arch': {'embed_dims': 24, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 40},
    'img_size': 32,
    'patch_size': 8,
}


class Segmenter(BaseModule):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


def pretrained(tmp_path, names=('backbone', 'tokenizer.backbone')):
    torch.manual_seed(0)
    networks = {name: MIMVisionTransformer(**OPTIONS, mask_token=True).eval() for name in names}
    state = {f'{name}.{key}': value for name, net in networks.items() for key, value in net.state_dict().items()}
    torch.save({'state_dict': state}, tmp_path / 'pretrained.pth')
    return networks, str(tmp_path / 'pretrained.pth')


def test_the_teacher_is_taken_and_the_student_on_request(tmp_path):
    networks, checkpoint = pretrained(tmp_path)
    images = torch.randn(1, 3, 32, 32)
    for options, name in (
        ({}, 'tokenizer.backbone'),
        ({'part': 'student'}, 'backbone'),
        ({'prefix': 'backbone'}, 'backbone'),
    ):
        init_cfg = {'type': 'Pretrained', 'checkpoint': checkpoint, **options}
        model = Segmenter(MIMVisionTransformer(**OPTIONS, init_cfg=init_cfg))
        model.init_weights()
        assert torch.equal(model.backbone.eval().forward_tokens(images), networks[name].forward_tokens(images)), options


def test_positions_are_resized_to_the_exact_grid(tmp_path):
    networks, checkpoint = pretrained(tmp_path)
    model = MIMVisionTransformer(
        **{**OPTIONS, 'img_size': (48, 64)},
        pos_interpolation='ibot',
        init_cfg={'type': 'Pretrained', 'checkpoint': checkpoint},
    )
    model.init_weights()
    trained = networks['tokenizer.backbone'].pos_embed
    torch.testing.assert_close(model.pos_embed, resize_positions(trained, (4, 4), (6, 8), 'size'))


@pytest.mark.parametrize('size', [(48, 48), (24, 24), (40, 72), (51, 30)], ids=str)
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'pos_interpolation': 'bilinear'},
        {'pos_embed': None, 'relative_bias': 'per_block'},
        {'relative_bias': 'both'},
    ],
    ids=['size', 'bilinear', 'table', 'both'],
)
def test_another_size_gives_what_resizing_at_load_gives(options, size, tmp_path):
    torch.manual_seed(0)
    trained = MIMVisionTransformer(**OPTIONS, **options).eval()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    torch.save({'state_dict': trained.state_dict()}, tmp_path / 'fine_tuned.pth')
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'fine_tuned.pth')}
    loaded = MIMVisionTransformer(**{**OPTIONS, 'img_size': size}, **options, init_cfg=init_cfg).eval()
    loaded.init_weights()
    images = torch.randn(2, 3, *size)
    torch.testing.assert_close(trained.forward_tokens(images), loaded.forward_tokens(images), atol=1e-5, rtol=1e-5)
    untouched = MIMVisionTransformer(**{**OPTIONS, 'img_size': size}, **options).eval()
    untouched.load_state_dict(trained.state_dict() | {n: v for n, v in untouched.state_dict().items() if 'pos' in n})
    assert (untouched.forward_tokens(images) - trained.forward_tokens(images)).abs().max() > 0.01  # resizing matters


def test_an_official_backbone_without_its_final_norm(tmp_path):
    model = MIMVisionTransformer(**OPTIONS).eval()
    checkpoint = tmp_path / 'official.pth'
    torch.save({'state_dict': backbone_to_official(model.state_dict())}, checkpoint)
    taps = MIMVisionTransformer(
        **OPTIONS, final_norm='none', init_cfg={'type': 'Pretrained', 'checkpoint': str(checkpoint)}
    ).eval()
    taps.init_weights()
    images = torch.randn(1, 3, 32, 32)
    expected = model.intermediate_tokens(images, 1, norm=False)[0]
    assert torch.equal(taps.forward_tokens(images), expected)


def test_other_initialisations_of_mmengine_work():
    init_cfg = {'type': 'Constant', 'layer': 'Linear', 'val': 0.5, 'bias': 0.25}
    model = MIMVisionTransformer(**OPTIONS, init_cfg=init_cfg)
    model.init_weights()
    assert (model.layers[0].attn.qkv.weight == 0.5).all()


def test_without_init_cfg_values_are_kept():
    model = MIMVisionTransformer(**OPTIONS)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
