import copy

import pytest
import torch
import torch.nn.functional as F

from mim_plugin.errors import ConfigError
from mim_plugin.models.backbones import MIMVisionTransformer
from mim_plugin.models.layers import MultiheadAttention
from mim_plugin.registry import MODELS

ARCH = {'embed_dims': 24, 'num_layers': 3, 'num_heads': 2, 'feedforward_channels': 40}
OPTIONS = {
    'plain': {},
    'registers': {'num_registers': 2},
    'shared_bias': {'relative_bias': 'shared', 'qkv_bias': 'qv', 'pos_embed': None, 'layer_scale': 0.1},
    'block_bias': {'relative_bias': 'per_block', 'num_registers': 1},
    'mean': {'mean_pooling': True, 'pos_embed': 'sincos', 'qkv_bias': None},
    'ibot': {'pos_interpolation': 'ibot', 'mask_token': True},
}


def make(**options):
    torch.manual_seed(0)
    model = MODELS.build({'type': 'MIMVisionTransformer', 'arch': ARCH, 'img_size': 32, 'patch_size': 8, **options})
    with torch.no_grad():  # no start value may hide a wrong use
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * (0.5 if 'table' in name else 0.1))
    return model


def gradients(model, images, seed=1, **options):
    model.zero_grad()
    torch.manual_seed(seed)
    tokens = model.forward_tokens(images, **options)
    (tokens * torch.linspace(-1, 1, tokens.numel()).view_as(tokens)).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    'arch, count', [('tiny', 5524416), ('small', 21665664), ('base', 85798656), ('large', 303301632)]
)
def test_published_sizes_on_the_meta_device(arch, count):
    with torch.device('meta'):
        model = MIMVisionTransformer(arch)
        masked = MIMVisionTransformer(arch, mask_token=True, relative_bias='per_block', num_registers=4)
    assert sum(p.numel() for p in model.parameters()) == count
    assert masked.mask_token.is_meta and masked.layers[0].attn.relative_position_bias_table.shape[0] == 732


def test_names_are_those_of_mmpretrain():
    block = ['ln1.weight', 'ln1.bias', 'attn.qkv.weight', 'attn.qkv.bias', 'attn.proj.weight', 'attn.proj.bias',
             'attn.gamma1.weight', 'ln2.weight', 'ln2.bias', 'ffn.layers.0.0.weight', 'ffn.layers.0.0.bias',
             'ffn.layers.1.weight', 'ffn.layers.1.bias', 'ffn.gamma2.weight']  # fmt: skip
    names = {'cls_token', 'pos_embed', 'mask_token', 'reg_token', 'ln1.weight', 'ln1.bias'}
    names |= {'patch_embed.projection.weight', 'patch_embed.projection.bias'}
    names |= {f'layers.{i}.{name}' for i in range(3) for name in block}
    model = make(layer_scale=0.1, mask_token=True, num_registers=2)
    assert model.state_dict().keys() == names
    assert model.pos_embed.shape == (1, 17, 24) and model.mask_token.shape == (1, 1, 24)


def test_names_that_depend_on_options():
    def differing(**options):
        names, plain = make(**options).state_dict().keys(), make().state_dict().keys()
        return names - plain, plain - names

    norm = {'ln1.weight', 'ln1.bias'}
    assert differing(mean_pooling=True) == ({'ln2.weight', 'ln2.bias'}, norm)
    assert differing(final_norm='none') == (set(), norm)
    assert differing(pos_embed='sincos') == (set(), {'pos_embed'})
    assert differing(relative_bias='shared') == ({'rel_pos_bias.relative_position_bias_table'}, set())
    tables = {f'layers.{i}.attn.relative_position_bias_table' for i in range(3)}
    assert differing(relative_bias='per_block') == (tables, set())


def test_starting_values():
    torch.manual_seed(0)
    model = MIMVisionTransformer('tiny', mask_token=True, relative_bias='shared', layer_scale=0.1)
    assert not model.mask_token.any() and not model.rel_pos_bias.relative_position_bias_table.any()
    for weight in (model.pos_embed, model.cls_token, model.layers[3].ffn.layers[1].weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not model.layers[0].attn.qkv.bias.any()
    fan_in = 3 * 16 * 16  # torch's own start of a convolution: uniform up to fan_in ** -0.5
    assert model.patch_embed.projection.weight.abs().max().item() == pytest.approx(fan_in**-0.5, rel=0.01)
    assert (model.layers[0].ffn.gamma2.weight == 0.1).all()


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize('size', [(32, 32), (64, 64), (32, 256), (136, 48), (256, 40), (33, 50)])
def test_any_size(options, size):
    model = make(**options).eval()
    height, width = -(-size[0] // 8), -(-size[1] // 8)
    assert model.grid_size(*size) == (height, width)
    images = torch.randn(1, 3, *size)
    assert model(images)[0].shape == (1, 24, height, width)
    tokens = model.forward_tokens(images)
    assert tokens.shape == (1, model.num_prefix_tokens + height * width, 24) and tokens.isfinite().all()


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_samples_do_not_see_each_other_and_no_size_is_special(options):
    model = make(**options).eval()
    images = torch.randn(3, 3, 32, 32)
    each = torch.cat([model.forward_tokens(image[None]) for image in images])
    torch.testing.assert_close(model.forward_tokens(images), each, atol=1e-5, rtol=1e-5)


def test_rows_and_columns_are_not_swapped():
    # A model that attends to nothing but itself shows its positions.
    model = make(img_size=(32, 48), pos_interpolation='ibot', final_norm='none').eval()
    for block in model.layers:
        torch.nn.init.zeros_(block.attn.proj.weight)
        torch.nn.init.zeros_(block.ffn.layers[1].weight)
        block.attn.proj.bias.data.zero_(), block.ffn.layers[1].bias.data.zero_()
    torch.nn.init.zeros_(model.patch_embed.projection.weight)
    positions = torch.zeros(1, 25, 24)
    positions[0, 1:, 0] = torch.arange(4).repeat_interleave(6)
    positions[0, 1:, 1] = torch.arange(6).repeat(4)
    model.pos_embed.data.copy_(positions)
    feature = model(torch.zeros(1, 3, 64, 32))[0][0] - model.patch_embed.projection.bias[:, None, None]
    assert feature.shape == (24, 8, 4)
    assert (feature[0].diff(dim=0)[1:-1] > 0.2).all() and feature[0].diff(dim=1).abs().max() < 1e-5
    assert (feature[1].diff(dim=1)[1:-1] > 0.2).all() and feature[1].diff(dim=0).abs().max() < 1e-5


def test_hidden_patches_do_not_enter():
    model = make(mask_token=True).eval()
    images, mask = torch.randn(2, 3, 32, 48), torch.rand(2, 4, 6) < 0.5
    pixels = mask.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None]
    changed = torch.where(pixels, torch.randn_like(images), images)
    tokens = model.forward_tokens(images, mask)
    assert torch.equal(tokens, model.forward_tokens(changed, mask))
    assert not torch.allclose(tokens, model.forward_tokens(images))
    assert torch.equal(model.forward_tokens(images, torch.zeros_like(mask)), model.forward_tokens(images))


def test_masks_that_do_not_fit_are_refused():
    images = torch.randn(1, 3, 32, 48)
    with pytest.raises(ConfigError, match='mask_token=True'):
        make().forward_tokens(images, torch.zeros(1, 4, 6, dtype=torch.bool))
    with pytest.raises(ConfigError, match='patch_size'):
        make(mask_token=True).forward_tokens(images, torch.zeros(1, 6, 4, dtype=torch.bool))


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_checkpointing_changes_no_gradient(options):
    options = {**options, 'drop_path_rate': 0.3}
    images = torch.randn(4, 3, 32, 32)
    expected, ours = gradients(make(**options), images), gradients(make(**options, with_cp=True), images)
    assert expected.keys() == ours.keys()
    for name, value in expected.items():
        torch.testing.assert_close(ours[name], value, msg=name)


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_every_parameter_learns(options):
    model = make(**options)
    masks = {'mask': torch.rand(2, 4, 4) < 0.5} if options.get('mask_token') else {}
    found = gradients(model, torch.randn(2, 3, 32, 32), **masks)
    assert found.keys() == dict(model.named_parameters()).keys()
    # With mean pooling the last block's [CLS] is overwritten, but it still served as a key.
    assert all(gradient.abs().sum() > 0 for gradient in found.values())


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize('stages', [0, 2, 3])
@pytest.mark.parametrize('with_cp', [False, True])
def test_frozen_stages_learn_nothing_and_stay_in_evaluation_mode(options, stages, with_cp):
    model = make(**options, frozen_stages=stages, drop_path_rate=0.5, with_cp=with_cp).train()
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    expected = {name for name in dict(model.named_parameters()) if name.startswith(('layers.', 'ln1', 'ln2', 'rel'))}
    expected -= {name for name in expected for i in range(stages) if name.startswith(f'layers.{i}.')}
    expected -= {name for name in expected if stages > 0 and name.startswith('rel')}
    assert learning == (set() if stages == 3 else expected)
    assert [block.training for block in model.layers] == [i >= stages for i in range(3)]
    assert not model.patch_embed.training and model.ln1.training == (stages < 3)
    images = torch.randn(2, 3, 32, 32)
    if learning:
        assert gradients(model, images).keys() == learning
    else:
        assert not model.forward_tokens(images).requires_grad


def test_drop_path_grows_linearly_and_only_acts_in_training():
    model = make(drop_path_rate=0.2)
    assert [block.drop_path.rate for block in model.layers] == pytest.approx([0, 0.1, 0.2])
    images = torch.randn(8, 3, 32, 32)
    assert not torch.equal(model.forward_tokens(images), model.forward_tokens(images))
    assert torch.equal(model.eval().forward_tokens(images), model.forward_tokens(images))
    one = MIMVisionTransformer({**ARCH, 'num_layers': 1}, drop_path_rate=0.2)
    assert one.layers[0].drop_path.rate == 0


def test_outputs_by_type_and_norm():
    images = torch.randn(2, 3, 32, 48)
    raw = make(out_indices=(0, 1, 2), out_type='raw', final_norm='all').eval()(images)
    blocks = make().eval().intermediate_tokens(images, 3)
    assert all(torch.equal(a, b) for a, b in zip(raw, blocks))
    plain = make().eval().intermediate_tokens(images, 3, norm=False)
    last = make(out_indices=(2, 0), out_type='raw').eval()(images)
    assert torch.equal(last[0], blocks[2]) and torch.equal(last[1], plain[0])
    assert torch.equal(last[0], make().eval().forward_tokens(images))
    none = make(out_indices=[1, -1], out_type='raw', final_norm='none').eval()(images)
    assert torch.equal(none[0], plain[1]) and torch.equal(none[1], plain[2])
    assert torch.equal(make(out_type='cls_token').eval()(images)[0], blocks[2][:, 0])
    torch.testing.assert_close(make(out_type='avg_featmap').eval()(images)[0], blocks[2][:, 1:].mean(1))
    feature = make().eval()(images)[0]
    assert torch.equal(feature[:, :, 1, 2], blocks[2][:, 1 + 6 + 2])


def test_mean_pooling_norms_the_mean_of_the_patches():
    options = {'mean_pooling': True, 'num_registers': 2}
    images = torch.randn(2, 3, 32, 32)
    model = make(**options).eval()
    tokens, (raw,) = model.forward_tokens(images), model.intermediate_tokens(images, 1)
    assert torch.equal(tokens[:, 1:], raw[:, 1:])
    mean = F.layer_norm(raw[:, 3:].mean(1), (24,), model.ln2.weight, model.ln2.bias, 1e-6)
    torch.testing.assert_close(tokens[:, 0], mean)
    for out_type in ('cls_token', 'avg_featmap'):
        assert torch.equal(make(**options, out_type=out_type).eval()(images)[0], tokens[:, 0])


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_attention_maps_are_those_of_the_blocks(options, monkeypatch):
    model = make(**options).eval()
    images = torch.randn(2, 3, 24, 40)
    expected, seen = model.forward_tokens(images), []

    def by_weights(self, x, bias=None, grid=None):
        weights = self.weights(x, bias, grid)
        seen.append(weights)
        value = self._project(x)[2]
        return self.gamma1(self.proj((weights @ value).transpose(1, 2).flatten(2)))

    maps = model.attention_maps(images, (-1, 0))
    monkeypatch.setattr(MultiheadAttention, 'forward', by_weights)
    torch.testing.assert_close(model.forward_tokens(images), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(maps[0], seen[2], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(maps[1], seen[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_bfloat16(options):
    model = make(**options).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = model.forward_tokens(images)
    with torch.autocast('cpu', torch.bfloat16):
        mixed = model.forward_tokens(images)
    assert F.cosine_similarity(mixed.float(), expected, dim=-1).min() > 0.99
    half = model.bfloat16().forward_tokens(images.bfloat16())
    assert half.dtype == torch.bfloat16
    assert F.cosine_similarity(half.float(), expected, dim=-1).min() > 0.98
    assert model(images[..., :24].bfloat16())[0].isfinite().all()


def test_layer_depths_follow_mmpretrain():
    model = make(mask_token=True, relative_bias='shared', num_registers=1)
    depth = {name: model.get_layer_depth(f'backbone.{name}', 'backbone.') for name in dict(model.named_parameters())}
    assert all(total == 5 for _, total in depth.values())
    first = ('cls_token', 'reg_token', 'mask_token', 'pos_embed', 'patch_embed')
    for name, (layer, _) in depth.items():
        expected = 0 if name.startswith(first) else int(name.split('.')[1]) + 1 if name.startswith('layers') else 4
        assert layer == expected, name
    assert model.get_layer_depth('head.layers.0.weight', 'backbone.') == (4, 5)
    assert model.get_layer_depth('layers.2.ln1.weight') == (3, 5)


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_a_model_made_on_the_meta_device_can_be_filled(options):
    model = make(**options).eval()
    with torch.device('meta'):
        empty = MIMVisionTransformer(ARCH, img_size=32, patch_size=8, **options).eval()
    filled = empty.to_empty(device='cpu')
    filled.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(filled.forward_tokens(images), model.forward_tokens(images))
    assert torch.equal(copy.deepcopy(model).forward_tokens(images), model.forward_tokens(images))


@pytest.mark.parametrize(
    'options, message',
    [
        ({'arch': 'huge'}, "arch='huge'"),
        ({'arch': {'embed_dims': 24}}, 'arch has the keys'),
        ({'pos_embed': 'learned'}, 'pos_embed'),
        ({'pos_interpolation': 'scale'}, 'pos_interpolation'),
        ({'relative_bias': True}, 'relative_bias'),
        ({'out_type': 'map'}, 'out_type'),
        ({'final_norm': True}, 'final_norm'),
        ({'out_indices': (0, 3)}, 'block 3'),
        ({'frozen_stages': 4}, 'frozen_stages=4'),
        ({'mean_pooling': True, 'final_norm': 'none'}, 'mean_pooling'),
        ({'drop_path_rate': 1.0}, 'drop_path_rate'),
    ],
)
def test_values_that_cannot_work_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        MIMVisionTransformer(**{'arch': ARCH, **options})


def test_wrong_requests_are_refused():
    images = torch.randn(1, 3, 32, 32)
    with pytest.raises(ConfigError, match='n=4'):
        make().intermediate_tokens(images, 4)
    with pytest.raises(ConfigError, match='block -4'):
        make().attention_maps(images, (-4,))
