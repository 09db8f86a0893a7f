"""The Swin transformer; its values are also checked by the golden cases ``ibot_swin_*``."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mim_plugin.checkpoints.formats import ibot
from mim_plugin.errors import ConfigError
from mim_plugin.models.algorithms import IBOT
from mim_plugin.models.algorithms.feature_extractor import pooled_features
from mim_plugin.models.backbones import MIMSwinTransformer
from mim_plugin.models.layers import DropPath
from mim_plugin.models.layers.window_attention import ShiftWindowAttention
from mim_plugin.testing.golden import load_case

GOLDEN = Path(__file__).parents[2] / 'golden'
ARCH = {'embed_dims': 8, 'depths': (2, 1, 2), 'num_heads': (1, 2, 4)}


def make(seed=0, **options):
    """Three stages (cells of 16 pixels), windows of 4, images of 64 pixels; nothing starts at 0 or 1."""
    torch.manual_seed(seed)
    model = MIMSwinTransformer(**{'arch': ARCH, 'img_size': 64, 'window_size': 4, 'drop_path_rate': 0.0, **options})
    for p in model.parameters():
        if p.ndim < 2 or p.ndim == 3:
            nn.init.normal_(p)
    return model.eval()


def test_windows_and_shifts_follow_from_the_size_of_the_images():
    def of(**options):
        return [(m.window, m.shift) for m in make(**options).modules() if isinstance(m, ShiftWindowAttention)]

    assert of() == [(4, 0), (4, 2), (4, 0), (4, 0), (4, 0)]  # 16, 8 and 4 cells
    assert of(img_size=128) == [(4, 0), (4, 2), (4, 0), (4, 0), (4, 2)]
    assert of(img_size=(32, 128)) == [(4, 0), (4, 2), (4, 0), (2, 0), (2, 0)]


@pytest.mark.parametrize('size', [(64, 64), (48, 80), (36, 100), (21, 50)])
def test_maps_and_tokens_of_any_size(size):
    model = make(out_indices=(0, 1, 2))
    image = torch.randn(2, 3, *size)
    maps = model(image)
    rows, columns = (-(-side // 4) for side in size)
    for i, m in enumerate(maps):
        assert m.shape == (2, 8 * 2**i, rows, columns) and m.is_contiguous()
        rows, columns = -(-rows // 2), -(-columns // 2)
    assert model.grid_size(*size) == maps[-1].shape[2:]
    tokens = model.forward_tokens(image)
    torch.testing.assert_close(tokens[:, 1:], maps[-1].flatten(2).transpose(1, 2))
    torch.testing.assert_close(tokens[:, 0], maps[-1].mean((2, 3)), atol=1e-5, rtol=1e-5)
    turned = model(image.flip(3))[-1]
    assert turned.shape == maps[-1].shape and not torch.allclose(turned, maps[-1])


def test_images_of_a_batch_do_not_see_each_other():
    model, images = make(), torch.randn(3, 3, 48, 80)
    together = model.forward_tokens(images)
    alone = torch.cat([model.forward_tokens(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_hidden_cell_does_not_show_its_pixels():
    model, image = make(mask_token=True), torch.randn(1, 3, 64, 64)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, 1, 2] = True
    other = image.clone()
    other[..., 16:32, 32:48] = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(model.forward_tokens(image, mask), model.forward_tokens(other, mask))
    assert not torch.allclose(model.forward_tokens(image), model.forward_tokens(other))
    patches = mask.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.equal(model.forward_tokens(image, mask), model.forward_tokens(image, patches))
    assert (model.embed(image, mask)[patches] == model.mask_token.flatten()).all()


def test_intermediate_outputs_have_the_width_of_their_stage():
    model, image = make(), torch.randn(2, 3, 64, 64)
    outputs = model.intermediate_tokens(image, 4)
    assert [tuple(out.shape) for out in outputs] == [(2, 257, 8), (2, 65, 16), (2, 17, 32), (2, 17, 32)]
    torch.testing.assert_close(outputs[-1], model.forward_tokens(image))
    raw = model.intermediate_tokens(image, 4, norm=False)
    assert torch.equal(raw[1], outputs[1]) and not torch.allclose(raw[2], outputs[2])
    assert pooled_features(model, image, 3).shape == (2, 16 + 32 + 32)
    torch.testing.assert_close(pooled_features(model, image, 1, avgpool=1), outputs[-1][:, 0])


def test_features_of_the_linear_protocol_are_2304_wide():
    with torch.device('meta'):
        model = MIMSwinTransformer('tiny')
        assert pooled_features(model, torch.empty(1, 3, 224, 224), 4).shape == (1, 2304)


def test_attention_maps():
    model, image = make(), torch.randn(2, 3, 64, 64)
    shifted, last = model.attention_maps(image, (1, -1))
    assert shifted.shape == (2 * 16, 1, 16, 16) and last.shape == (2 * 1, 4, 16, 16)
    torch.testing.assert_close(last.sum(-1), torch.ones(2, 4, 16))
    assert (shifted[15, 0] < 1e-10).any() and not (shifted[0, 0] < 1e-10).any()


def test_checkpointing_gives_the_same_gradients():
    image = torch.randn(2, 3, 64, 64)
    gradients = []
    for with_cp in (False, True):
        model = make(with_cp=with_cp).train()
        model.forward_tokens(image).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, again in zip(*gradients):
        torch.testing.assert_close(plain, again)


def test_half_precision_is_finite():
    model = make().train()
    with torch.autocast('cpu', torch.bfloat16):
        tokens = model.forward_tokens(torch.randn(2, 3, 56, 72))
    tokens.float().sum().backward()
    assert tokens.isfinite().all() and all(p.grad.isfinite().all() for p in model.parameters())


def test_drop_path_grows_with_the_block():
    rates = [m.rate for m in make(drop_path_rate=0.2).modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])


@pytest.mark.parametrize(
    ('stages', 'frozen'),
    [(-1, []), (0, ['patch_embed']), (2, ['patch_embed', 'stages.0', 'stages.1', 'norm0', 'norm1'])],
)
def test_frozen_stages(stages, frozen):
    model = make(frozen_stages=stages, out_indices=(0, 1, 2), mask_token=True, drop_path_rate=0.1).train()
    names = {name for name, p in model.named_parameters() if not p.requires_grad}
    beginnings = tuple(f'{name}.' for name in frozen)
    token = {'mask_token'} if frozen else set()
    assert names == {name for name, _ in model.named_parameters() if name.startswith(beginnings)} | token
    for name in ('patch_embed', 'stages.1', 'stages.2'):
        assert model.get_submodule(name).training == (name not in frozen)
    model(torch.randn(1, 3, 64, 64))[-1].sum().backward()
    assert all(p.grad is None for n, p in model.named_parameters() if n in names)


def test_layer_depths_are_those_of_the_published_fine_tuning():
    case = load_case(GOLDEN / 'param_groups_ibot_finetune_swin')
    arch = {'embed_dims': 16, 'depths': case.settings['depths'], 'num_heads': case.settings['num_heads']}
    model = make(arch=arch, mask_token=True)
    num_depths = len(case.expected['layer_scales'])
    ids = {
        ibot.official_name(f'backbone.{name}').removeprefix('backbone.'): model.get_layer_depth(f'net.{name}', 'net.')
        for name, _ in model.named_parameters()
    }
    assert ids.pop('masked_embed') == (0, num_depths)
    theirs = {k: v for k, v in case.expected['layer_id_of_parameter'].items() if not k.startswith('head.')}
    assert ids == {name: (depth, num_depths) for name, depth in theirs.items()}
    assert model.get_layer_depth('head.weight', 'net.') == (num_depths - 1, num_depths)


@pytest.mark.parametrize('window', [7, 14])
def test_names_shapes_and_order_of_the_published_checkpoints(window):
    expected = json.loads((GOLDEN / f'keys_ibot_swint{window}' / 'case.json').read_text())['expected']
    with torch.device('meta'):
        backbone = {'type': 'MIMSwinTransformer', 'window_size': window, 'mask_token': True}
        model = IBOT(backbone, {'norm_last_layer': False})
    official = ibot.to_official(model.state_dict())
    for network in ('student', 'teacher'):
        ours = [[name, list(v.shape), str(v.dtype).removeprefix('torch.')] for name, v in official[network].items()]
        assert ours == expected[network]


def test_student_and_teacher():
    torch.manual_seed(0)
    backbone = {'type': 'MIMSwinTransformer', 'arch': ARCH, 'img_size': 64, 'window_size': 4, 'mask_token': True,
                'drop_path_rate': 0.3, 'with_cp': True}  # fmt: skip
    model = IBOT(backbone, {'out_dim': 16, 'hidden_dim': 16, 'bottleneck_dim': 8})
    teacher = model.tokenizer.backbone
    assert teacher.mask_token is None and not teacher.with_cp
    assert all(m.rate == 0 for m in teacher.modules() if isinstance(m, DropPath))
    data = views(cells=4)
    before = copy.deepcopy(teacher.state_dict())
    losses = model(model.data_preprocessor(data, True)['inputs'], mode='loss')
    (losses['loss_cls'] + losses['loss_patch']).backward()
    assert all(p.grad is not None for p in model.backbone.parameters())
    with torch.no_grad():
        for p in model.backbone.parameters():
            p.sub_(p.grad)
    model.update_teacher(0.5)
    student = model.backbone.state_dict()
    for name, value in teacher.state_dict().items():
        torch.testing.assert_close(value, (before[name] + student[name]) / 2)
    with pytest.raises(ConfigError, match='patch_size of PredictionMasks'):
        model(model.data_preprocessor(views(cells=8), True)['inputs'], mode='loss')


def views(cells):
    masks = [torch.rand(2, cells, cells) < 0.4 for _ in range(2)]
    images = [torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    local = [torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)]
    return {'inputs': {'global': images, 'local': local, 'mask': masks}}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'arch': 'huge'}, "arch='huge' is unknown"),
        ({'arch': {'embed_dims': 8, 'depths': (2,)}}, 'arch has the keys'),
        ({'arch': {'embed_dims': 8, 'depths': (2, 2), 'num_heads': (1,)}}, '2 depths and 1 num_heads'),
        ({'arch': {'embed_dims': 8, 'depths': (2,), 'num_heads': (3,)}}, 'no multiple of num_heads'),
        ({'out_indices': (3,)}, 'out_indices names stage 3, but the backbone has 3 stages'),
        ({'frozen_stages': 4}, 'frozen_stages=4'),
        ({'drop_path_rate': 1.0}, 'drop_path_rate'),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_bad_calls():
    image = torch.randn(1, 3, 64, 64)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    with pytest.raises(ConfigError, match='without mask token'):
        make().forward_tokens(image, mask)
    model = make(mask_token=True)
    for bad in (mask.repeat(2, 1, 1), mask[:, :3], mask[0]):
        with pytest.raises(ConfigError, match='patch_size of the mask transform must be 16'):
            model.forward_tokens(image, bad)
    with pytest.raises(ConfigError, match='in_channels'):
        model(torch.randn(1, 1, 64, 64))
    with pytest.raises(ConfigError, match='6 last blocks'):
        model.intermediate_tokens(image, 6)
    with pytest.raises(ConfigError, match='layers names block 5'):
        model.attention_maps(image, (5,))
