"""Images of any size: shapes, rows and columns, gradients."""

import random

import pytest
import torch

from mim_plugin.models.backbones import MIMVisionTransformer
from mim_plugin.models.layers import PatchEmbed
from mim_plugin.registry import MODELS

ARCH = {'embed_dims': 8, 'num_layers': 2, 'num_heads': 1, 'feedforward_channels': 8}
OPTIONS = {
    'size': {},
    'ibot': {'pos_interpolation': 'ibot'},
    'sincos': {'pos_embed': 'sincos', 'num_registers': 1},
    'shared': {'relative_bias': 'shared', 'pos_embed': None},
    'block': {'relative_bias': 'per_block', 'qkv_bias': 'qv'},
    'both': {'relative_bias': 'both', 'mean_pooling': True},
}
draw = random.Random(0)
SIZES = [(32, 32), (32, 1024), (1024, 96), (512, 683), (641, 640), *((draw.randint(32, 1024), draw.randint(32, 1024))
         for _ in range(5))]  # fmt: skip


def make(**options):
    torch.manual_seed(0)
    model = MIMVisionTransformer(ARCH, img_size=128, patch_size=32, **options)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * (0.5 if 'table' in name else 0.1))
    return model.eval()


def transposed(model, grid):
    """The same model for images whose rows and columns are exchanged."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for name, value in state.items():
        if name.endswith('projection.weight'):
            state[name] = value.transpose(2, 3)
        elif name == 'pos_embed':
            state[name] = torch.cat([value[:, :1], value[:, 1:].unflatten(1, grid).transpose(1, 2).flatten(1, 2)], 1)
        elif name.endswith('table'):
            offsets = value[:-3].unflatten(0, (2 * grid[0] - 1, 2 * grid[1] - 1)).transpose(0, 1)
            state[name] = torch.cat([offsets.flatten(0, 1), value[-3:]])
    return state


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_any_size_gives_its_map_and_no_other_when_turned(options, size):
    model = make(**options)
    images = torch.randn(1, 3, *size)
    (feature,) = model(images)
    assert feature.shape == (1, 8, -(-size[0] // 32), -(-size[1] // 32)) and feature.isfinite().all()
    if options.get('pos_embed') == 'sincos':
        return  # counts patches row by row, so it is another when turned
    model.load_state_dict(transposed(model, (4, 4)))
    (turned,) = model(images.transpose(2, 3))
    torch.testing.assert_close(turned.transpose(2, 3), feature, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('options', [OPTIONS['size'], OPTIONS['ibot'], OPTIONS['both']], ids=['size', 'ibot', 'both'])
def test_rectangles_that_a_model_was_made_for_are_resized_along_their_axes(options):
    torch.manual_seed(0)
    wide = MIMVisionTransformer(ARCH, img_size=(96, 224), patch_size=32, **options).eval()
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    high = MIMVisionTransformer(ARCH, img_size=(224, 96), patch_size=32, **options).eval()
    high.load_state_dict(transposed(wide, (3, 7)))
    images = torch.randn(1, 3, 160, 128)
    torch.testing.assert_close(high(images.transpose(2, 3))[0].transpose(2, 3), wide(images)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_training_at_another_size_reaches_every_parameter(options):
    model = make(**options).train()
    tokens = model.forward_tokens(torch.randn(2, 3, 200, 140))
    (tokens * torch.linspace(-1, 1, tokens.numel()).view_as(tokens)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_checkpointing_at_another_size_changes_nothing():
    gradients = []
    for with_cp in (False, True):
        model = make(**OPTIONS['both'], with_cp=with_cp).train()
        model.forward_tokens(torch.ones(1, 3, 100, 260)).square().sum().backward()
        gradients.append(model.layers[0].attn.relative_position_bias_table.grad)
    torch.testing.assert_close(*gradients)


def test_masks_of_another_size_hide_their_patches():
    model = make(**OPTIONS['both'], mask_token=True)
    images, mask = torch.randn(1, 3, 96, 250), torch.rand(1, 3, 8) < 0.5
    pixels = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None, :, :250]
    changed = torch.where(pixels, torch.randn_like(images), images)
    assert torch.equal(model.forward_tokens(images, mask), model.forward_tokens(changed, mask))
    assert not torch.equal(model.forward_tokens(images, mask), model.forward_tokens(images))


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS.keys())
def test_another_size_on_a_device_without_memory(options):
    with torch.device('meta'):
        model = MIMVisionTransformer(ARCH, img_size=128, patch_size=32, **options)
        (feature,) = model(torch.empty(1, 3, 1024, 700))
    assert feature.is_meta and feature.shape == (1, 8, 32, 22)


def test_a_patch_beside_the_image_is_padding():
    model, images = make(**OPTIONS['both']), torch.randn(1, 3, 70, 130)
    padded = torch.nn.functional.pad(images, (0, 30, 0, 26))
    assert PatchEmbed(3, 8, 32).grid_size(70, 130) == (3, 5)
    assert torch.equal(model(images)[0], model(padded)[0])


@pytest.mark.parametrize('size', [(32, 32), (32, 512), (333, 97), (224, 513)], ids=str)
def test_swin_takes_any_size(size):
    torch.manual_seed(0)
    arch = {'embed_dims': 4, 'depths': (2, 2), 'num_heads': (1, 2)}
    model = MODELS.build({'type': 'MIMSwinTransformer', 'arch': arch, 'out_indices': (0, 1)}).eval()
    maps = model(torch.randn(1, 3, *size))
    sides = [tuple(-(-side // stride) for side in size) for stride in (4, 8)]
    assert [tuple(level.shape[2:]) for level in maps] == sides
    assert all(level.isfinite().all() for level in maps)
