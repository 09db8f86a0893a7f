import math

import pytest
import torch
import torch.nn.functional as F

from mim_plugin.errors import ConfigError
from mim_plugin.models.layers import resize_positions, sincos_positions
from mim_plugin.models.layers.pos_embed import RESIZE_RULES

GRIDS = [((3, 3), (3, 5)), ((3, 3), (5, 3)), ((14, 14), (6, 6)), ((4, 4), (2, 8)), ((2, 7), (7, 2)), ((1, 1), (3, 4))]


@pytest.mark.parametrize('rule', ['size', 'ibot', 'bilinear'])
@pytest.mark.parametrize('source, target', GRIDS)
@pytest.mark.parametrize('num_prefix', [0, 1, 3])
def test_resize_is_that_of_torch(rule, source, target, num_prefix):
    torch.manual_seed(0)
    positions = torch.randn(1, num_prefix + source[0] * source[1], 5, requires_grad=True)
    grid = positions[:, num_prefix:].unflatten(1, source).permute(0, 3, 1, 2)
    options = {'size': target}
    if rule == 'ibot':
        options = {'scale_factor': tuple((t + 0.1) / s for s, t in zip(source, target))}
    mode = 'bilinear' if rule == 'bilinear' else 'bicubic'
    expected = F.interpolate(grid, mode=mode, **options).flatten(2).transpose(1, 2)
    ours = resize_positions(positions, source, target, rule, num_prefix)
    assert torch.equal(ours[:, :num_prefix], positions[:, :num_prefix])
    torch.testing.assert_close(ours[:, num_prefix:], expected, atol=1e-5, rtol=1e-5)
    upstream = torch.randn_like(ours)
    (gradient,) = torch.autograd.grad((ours * upstream).sum(), positions)
    expected = torch.cat([positions[:, :num_prefix], expected], dim=1)
    (reference,) = torch.autograd.grad((expected * upstream).sum(), positions)
    torch.testing.assert_close(gradient, reference, atol=1e-4, rtol=1e-4)


def test_the_rules_differ():
    torch.manual_seed(0)
    positions = torch.randn(1, 10, 4)
    size, ibot, bilinear = (resize_positions(positions, (3, 3), (4, 5), rule) for rule in RESIZE_RULES)
    assert min((size - ibot).abs().max(), (size - bilinear).abs().max()) > 0.01


def test_the_same_grid_returns_the_input():
    positions = torch.randn(1, 7, 4)
    assert resize_positions(positions, (2, 3), (2, 3), 'ibot') is positions


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_resized_in_single(dtype):
    positions = torch.randn(1, 10, 4).to(dtype)
    ours = resize_positions(positions, (3, 3), (5, 2))
    assert ours.dtype == dtype
    assert torch.equal(ours, resize_positions(positions.float(), (3, 3), (5, 2)).to(dtype))


def test_autocast_does_not_touch_positions():
    positions = torch.randn(1, 10, 4)
    plain = resize_positions(positions, (3, 3), (5, 2))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(resize_positions(positions, (3, 3), (5, 2)), plain)


def test_unknown_rules_are_refused():
    with pytest.raises(ConfigError, match='pos_interpolation'):
        resize_positions(torch.randn(1, 10, 4), (3, 3), (5, 2), 'scale')


@pytest.mark.parametrize('dims', [6, 7])
def test_sincos_follows_the_formula(dims):
    table = sincos_positions(5, dims, torch.device('cpu'))
    assert table.shape == (1, 6, dims) and not table[0, 0].any()
    for patch in range(5):
        for channel in range(dims):
            angle = patch / 10000 ** (2 * (channel // 2) / dims)
            expected = math.cos(angle) if channel % 2 else math.sin(angle)
            assert table[0, 1 + patch, channel].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('source', [4, 14, 28, 64])
def test_the_rule_of_ibot_always_gives_the_wanted_grid(source):
    positions = torch.zeros(1, source * source, 1)
    for side in range(1, 81):
        resized = resize_positions(positions, (source, source), (side, 81 - side), 'ibot', num_prefix=0)
        assert resized.shape == (1, side * (81 - side), 1)
