import pytest
import torch

from mim_plugin.models.layers import RelativePositionBias, relative_position_bias, relative_position_index


@pytest.mark.parametrize('window', [(3, 3), (2, 5), (4, 1)])
@pytest.mark.parametrize('num_prefix', [1, 3])
def test_index_pair_by_pair(window, num_prefix):
    height, width = window
    rows = (2 * height - 1) * (2 * width - 1) + 3
    index = relative_position_index(window, num_prefix)
    cells = [(y, x) for y in range(height) for x in range(width)]
    for i, (query_y, query_x) in enumerate(cells):
        for j, (key_y, key_x) in enumerate(cells):
            expected = (query_y - key_y + height - 1) * (2 * width - 1) + query_x - key_x + width - 1
            assert index[num_prefix + i, num_prefix + j] == expected
    assert (index[:num_prefix, num_prefix:] == rows - 3).all()
    assert (index[num_prefix:, :num_prefix] == rows - 2).all()
    assert (index[:num_prefix, :num_prefix] == rows - 1).all()
    assert set(index.flatten().tolist()) == set(range(rows))


@pytest.mark.parametrize('window', [(3, 3), (2, 5), (5, 3)])
def test_lookup_is_plain_indexing(window):
    layer = RelativePositionBias(window, 2)
    assert not layer.relative_position_bias_table.any()
    torch.nn.init.normal_(layer.relative_position_bias_table)
    table = layer.relative_position_bias_table
    expected = table[relative_position_index(window)].permute(2, 0, 1)[None]
    assert torch.equal(layer(), expected)
    upstream = torch.randn_like(expected)
    (ours,) = torch.autograd.grad((layer() * upstream).sum(), table)
    (reference,) = torch.autograd.grad((expected * upstream).sum(), table)
    torch.testing.assert_close(ours, reference)


def test_rows_are_aligned_for_fused_kernels():
    bias = relative_position_bias(torch.randn(28, 4), (3, 3))
    assert bias.shape == (1, 4, 10, 10)
    assert all(stride % 16 == 0 for stride in bias.stride()[:-1]) and bias.stride(-1) == 1


def test_the_state_holds_the_table_only():
    state = RelativePositionBias((14, 14), 12).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {'relative_position_bias_table': (732, 12)}
