import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.models.layers import FeedForward, LayerScale, MultiheadAttention, TransformerBlock


def explicit(attention, x, bias=0.0):
    """Attention as the papers write it, with one head after the other."""
    b, t, d = x.shape
    size = d // attention.num_heads
    projected = x @ attention.qkv.weight.T
    if attention.qkv.bias is not None:
        projected = projected + attention.qkv.bias
    query, key, value = projected.split(d, dim=-1)
    if attention.q_bias is not None:
        query, value = query + attention.q_bias, value + attention.v_bias
    bias = torch.as_tensor(bias).expand(1, attention.num_heads, t, t)
    outputs, weights = [], []
    for head in range(attention.num_heads):
        q, k, v = (part[..., head * size : (head + 1) * size] for part in (query, key, value))
        weight = (q @ k.mT / size**0.5 + bias[:, head]).softmax(-1)
        outputs.append(weight @ v)
        weights.append(weight)
    return attention.gamma1(attention.proj(torch.cat(outputs, -1))), torch.stack(weights, 1)


def randomised(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


@pytest.mark.parametrize('qkv_bias', ['qkv', 'qv', None])
@pytest.mark.parametrize('given', [False, True])
@pytest.mark.parametrize('window', [None, (2, 3)])
def test_fused_attention_is_the_explicit_softmax(qkv_bias, given, window):
    attention = randomised(MultiheadAttention(24, 3, qkv_bias, layer_scale_init=0.1, window=window))
    x = torch.randn(2, 7, 24)
    bias = torch.randn(1, 3, 7, 7) if given else None
    total = attention._total_bias(bias)
    expected, weights = explicit(attention, x, 0.0 if total is None else total)
    torch.testing.assert_close(attention(x, bias), expected, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(attention.weights(x, bias), weights, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(attention.weights(x, bias).sum(-1), torch.ones(2, 3, 7))


def test_own_and_given_bias_add_up():
    attention = randomised(MultiheadAttention(24, 3, window=(2, 3)))
    own, given = attention._total_bias(None), torch.randn(1, 3, 7, 7)
    torch.testing.assert_close(attention._total_bias(given), own + given)


def test_gradient_through_the_bias_is_that_of_the_explicit_softmax():
    attention = randomised(MultiheadAttention(24, 3, 'qv', window=(2, 3)))
    x, upstream = torch.randn(2, 7, 24), torch.randn(2, 7, 24)
    (attention(x) * upstream).sum().backward()
    fused = {name: p.grad.clone() for name, p in attention.named_parameters()}
    attention.zero_grad()
    (explicit(attention, x, attention._total_bias(None))[0] * upstream).sum().backward()
    for name, parameter in attention.named_parameters():
        torch.testing.assert_close(fused[name], parameter.grad, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize('qkv_bias, names', [('qkv', {'qkv.bias'}), ('qv', {'q_bias', 'v_bias'}), (None, set())])
def test_names_of_the_biases(qkv_bias, names):
    state = MultiheadAttention(8, 2, qkv_bias).state_dict()
    assert state.keys() == names | {'qkv.weight', 'proj.weight', 'proj.bias'}
    assert all(not state[name].any() for name in ('q_bias', 'v_bias') if name in state)


def test_wrong_values_are_refused():
    with pytest.raises(ConfigError, match='num_heads=5'):
        MultiheadAttention(24, 5)
    with pytest.raises(ConfigError, match='qkv_bias'):
        MultiheadAttention(24, 3, 'kv')


@pytest.mark.parametrize('layer_scale', [0.0, 0.1])
def test_a_block_adds_two_branches(layer_scale):
    block = randomised(TransformerBlock(24, 3, 40, layer_scale_init=layer_scale))
    x = torch.randn(2, 5, 24)
    y = x + block.attn(block.ln1(x))
    torch.testing.assert_close(block(x), y + block.ffn(block.ln2(y)))
    scaled = [m for m in block.modules() if isinstance(m, LayerScale)]
    assert len(scaled) == (2 if layer_scale else 0)


def test_feed_forward_uses_the_exact_gelu():
    layer = randomised(FeedForward(4, 6))
    x = torch.randn(3, 4)
    hidden = x @ layer.layers[0][0].weight.T + layer.layers[0][0].bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    torch.testing.assert_close(layer(x), hidden @ layer.layers[1].weight.T + layer.layers[1].bias)


def test_layer_scale_starts_at_its_value():
    assert torch.equal(LayerScale(3, 0.25)(torch.ones(2, 3)), torch.full((2, 3), 0.25))
