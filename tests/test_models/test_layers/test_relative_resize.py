"""Golden: beit_relpos_resize."""

import pytest
import torch

from mim_plugin.models.layers import RelativePositionBias, relative_position_bias, resize_bias_table
from mim_plugin.models.layers.relative_resize import _ratio

GRIDS = [((14, 14), (24, 24)), ((7, 7), (4, 4)), ((3, 3), (8, 8)), ((2, 2), (5, 5)), ((1, 1), (3, 3)), ((4, 4), (1, 1)),
         ((4, 4), (3, 9)), ((2, 7), (7, 2)), ((5, 1), (2, 6)), ((14, 14), (14, 20))]  # fmt: skip


def rows(grid):
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3


@pytest.mark.parametrize(('source', 'target', 'ratio'), [(27, 47, 1.09031), (27, 63, 1.13492), (27, 79, 1.16850)])
def test_ratios_of_the_published_resolutions(source, target, ratio):
    assert _ratio(source // 2, target // 2) == pytest.approx(ratio, abs=5e-6)


@pytest.mark.parametrize(('source', 'target'), GRIDS)
def test_shape_and_class_rows(source, target):
    table = torch.randn(rows(source), 2, generator=torch.Generator().manual_seed(0))
    ours = resize_bias_table(table, source, target)
    assert ours.shape == (rows(target), 2) and ours.isfinite().all()
    assert torch.equal(ours[-3:], table[-3:])
    centre = (rows(source) - 3) // 2, (rows(target) - 3) // 2
    torch.testing.assert_close(ours[centre[1]], table[centre[0]])  # a patch and itself
    constant = resize_bias_table(torch.ones(rows(source), 2), source, target)
    torch.testing.assert_close(constant, torch.ones_like(constant))


@pytest.mark.parametrize(('source', 'target'), GRIDS)
def test_rows_and_columns_are_not_swapped(source, target):
    table = torch.randn(rows(source), 2, generator=torch.Generator().manual_seed(0))

    def turned(table, grid):
        offsets = table[:-3].unflatten(0, (2 * grid[0] - 1, 2 * grid[1] - 1)).transpose(0, 1)
        return torch.cat([offsets.flatten(0, 1), table[-3:]])

    ours = resize_bias_table(turned(table, source), source[::-1], target[::-1])
    torch.testing.assert_close(ours, turned(resize_bias_table(table, source, target), target), atol=1e-5, rtol=1e-5)
    falling = torch.arange(2 * source[0] - 1.0).repeat_interleave(2 * source[1] - 1)  # differs by row only
    ours = resize_bias_table(torch.cat([falling, torch.zeros(3)])[:, None], source, target)
    ours = ours[:-3, 0].unflatten(0, (2 * target[0] - 1, 2 * target[1] - 1))
    torch.testing.assert_close(ours, ours[:, :1].expand_as(ours), atol=1e-4, rtol=1e-4)
    assert source[0] == 1 or target[0] == 1 or ours[0, 0] < ours[-1, 0]


def test_an_axis_of_the_same_length_stays_and_axes_are_independent():
    table = torch.randn(rows((4, 3)), 2, generator=torch.Generator().manual_seed(0))
    wide = resize_bias_table(table, (4, 3), (4, 6))
    both = resize_bias_table(wide, (4, 6), (7, 6))
    torch.testing.assert_close(both, resize_bias_table(table, (4, 3), (7, 6)), atol=1e-5, rtol=1e-5)
    middle = wide[:-3].unflatten(0, (7, 11))[:, 5]
    torch.testing.assert_close(middle, table[:-3].unflatten(0, (7, 5))[:, 2])
    assert resize_bias_table(table, (4, 3), (4, 3)) is table


def test_gradients_are_those_of_a_linear_map():
    table = torch.randn(rows((3, 4)), 2, dtype=torch.float32, requires_grad=True)
    upstream = torch.randn(rows((5, 2)), 2, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((resize_bias_table(table, (3, 4), (5, 2)) * upstream).sum(), table)
    other = torch.randn(rows((3, 4)), 2, generator=torch.Generator().manual_seed(1))
    expected = (resize_bias_table(other, (3, 4), (5, 2)) * upstream).sum()
    torch.testing.assert_close((gradient * other).sum(), expected, atol=1e-4, rtol=1e-4)
    assert gradient[-3:].equal(upstream[-3:])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_resized_in_single(dtype):
    table = torch.randn(rows((3, 3)), 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    ours, single = (resize_bias_table(t, (3, 3), (5, 4)) for t in (table, table.float()))
    assert ours.dtype == dtype and torch.equal(ours, single.to(dtype))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(resize_bias_table(table.float(), (3, 3), (5, 4)), single)


def test_the_shared_table_serves_any_grid():
    layer = RelativePositionBias((3, 3), 2)
    torch.nn.init.normal_(layer.relative_position_bias_table)
    table = resize_bias_table(layer.relative_position_bias_table, (3, 3), (2, 5))
    assert torch.equal(layer((2, 5)), relative_position_bias(table, (2, 5)))
    assert torch.equal(layer((3, 3)), layer())


def test_it_can_be_compiled():
    table = torch.randn(rows((3, 3)), 2, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(resize_bias_table, backend='eager', fullgraph=True)
    torch.testing.assert_close(compiled(table, (3, 3), (5, 4)), resize_bias_table(table, (3, 3), (5, 4)))
