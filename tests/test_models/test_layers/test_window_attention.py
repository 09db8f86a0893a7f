"""Window attention against a plain one that goes through the windows one by one."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mim_plugin.models.layers import PatchMerging
from mim_plugin.models.layers.window_attention import ShiftWindowAttention, shift_patterns, window_kinds

CPU = torch.device('cpu')


def make(window, shift, dims=12, heads=3):
    torch.manual_seed(0)
    layer = ShiftWindowAttention(dims, heads, window, shift)
    nn.init.normal_(layer.w_msa.relative_position_bias_table)
    return layer


def plain(layer, x):
    """Pad, roll, label, attend window by window, roll back, cut."""
    window, shift, attention = layer.window, layer.shift, layer.w_msa
    height, width = x.shape[1:3]
    x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    x = torch.roll(x, (-shift, -shift), (1, 2))
    labels = torch.zeros(x.shape[1:3], dtype=torch.long)
    if shift:
        slices = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
        for i, rows in enumerate(slices):
            for j, columns in enumerate(slices):
                labels[rows, columns] = 3 * i + j
    out, all_weights = torch.empty_like(x), []
    for image in range(len(x)):
        for top in range(0, x.shape[1], window):
            for left in range(0, x.shape[2], window):
                place = slice(top, top + window), slice(left, left + window)
                cells = x[image][place].reshape(window**2, -1)
                weights, values = attend(attention, cells, labels[place].flatten(), window)
                all_weights.append(weights)
                out[image][place] = attention.proj(values).reshape(window, window, -1)
    return torch.roll(out, (shift, shift), (1, 2))[:, :height, :width], torch.stack(all_weights)


def attend(attention, cells, labels, window):
    heads, table = attention.num_heads, attention.relative_position_bias_table
    query, key, value = attention.qkv(cells).reshape(len(cells), 3, heads, -1).permute(1, 2, 0, 3)
    logits = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    place = torch.tensor([(i // window, i % window) for i in range(window**2)])
    offset = place[:, None] - place[None] + window - 1
    logits = logits + table[offset[..., 0] * (2 * window - 1) + offset[..., 1]].permute(2, 0, 1)
    weights = (logits - 100.0 * (labels[:, None] != labels[None])).softmax(-1)
    return weights, (weights @ value).transpose(0, 1).flatten(1)


@pytest.mark.parametrize('size', [(8, 8), (4, 4), (9, 6), (3, 13)])
@pytest.mark.parametrize(('window', 'shift'), [(4, 0), (4, 2), (3, 1)])
def test_equals_plain_attention(window, shift, size):
    layer = make(window, shift)
    x = torch.randn(2, *size, 12, requires_grad=True)
    upstream = torch.randn(2, *size, 12)
    ours, (theirs, weights) = layer(x), plain(layer, x)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.weights(x), weights, atol=1e-5, rtol=1e-5)
    leaves = [x, *layer.parameters()]
    for mine, other in zip(torch.autograd.grad((ours * upstream).sum(), leaves),
                           torch.autograd.grad((theirs * upstream).sum(), leaves)):  # fmt: skip
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


def test_no_gradient_takes_the_same_values():
    layer, x = make(4, 2), torch.randn(2, 9, 6, 12)
    with torch.no_grad():
        fused = layer(x)
    torch.testing.assert_close(fused, layer(x), atol=1e-5, rtol=1e-5)


def test_half_precision_is_finite_and_close():
    layer, x = make(4, 2), torch.randn(2, 8, 8, 12, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        out = layer(x)
    out.float().sum().backward()
    assert out.isfinite().all() and layer.w_msa.relative_position_bias_table.grad.isfinite().all()
    torch.testing.assert_close(out.float(), layer(x), atol=0.05, rtol=0.05)


def test_far_cells_of_a_window_do_not_see_each_other():
    kinds = window_kinds(2, 3, CPU).reshape(2, 3).tolist()
    assert kinds == [[0, 0, 1], [2, 2, 3]]
    patterns = shift_patterns(4, 1, 16, CPU)[:, 0]
    assert [(pattern < 0).any().item() for pattern in patterns] == [False, True, True, True]
    # Cell 3 of the first row stands in the last column, from the other end of the map.
    assert patterns[1, 0, 3] == -100 and patterns[1, 0, 2] == 0 and patterns[2, 0, 12] == -100


def test_constants_are_made_once():
    assert shift_patterns(4, 2, 16, CPU) is shift_patterns(4, 2, 16, CPU)
    assert window_kinds(5, 7, CPU) is window_kinds(5, 7, CPU)


@pytest.mark.parametrize('size', [(4, 6), (5, 3)])
def test_merging_is_unfold_norm_and_linear(size):
    torch.manual_seed(0)
    layer, x = PatchMerging(6), torch.randn(2, *size, 6)
    nn.init.normal_(layer.norm.weight)
    padded = F.pad(x.permute(0, 3, 1, 2), (0, size[1] % 2, 0, size[0] % 2))
    expected = layer.reduction(layer.norm(F.unfold(padded, 2, stride=2).transpose(1, 2)))
    out = layer(x)
    assert out.shape == (2, -(-size[0] // 2), -(-size[1] // 2), 12)
    torch.testing.assert_close(out.flatten(1, 2), expected, atol=1e-5, rtol=1e-5)
