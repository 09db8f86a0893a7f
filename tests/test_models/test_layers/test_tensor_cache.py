import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mim_plugin.models.layers.tensor_cache import tensor_cache


def counting():
    calls = []

    @tensor_cache
    def make(size, device):
        calls.append((size, device))
        return torch.arange(size, device=device)

    return make, calls


def test_a_constant_is_made_once_for_each_key():
    make, calls = counting()
    assert make(3, 'cpu') is make(3, 'cpu')
    assert make(3, 'meta').is_meta and make(4, 'cpu').numel() == 4
    assert calls == [(3, 'cpu'), (3, 'meta'), (4, 'cpu')]


def test_old_constants_are_forgotten():
    make, calls = counting()
    for size in range(100):
        make(size, 'cpu')
    make(99, 'cpu')
    assert len(calls) == 100
    make(0, 'cpu')
    assert len(calls) == 101


def test_a_constant_from_inference_mode_can_be_trained_with():
    make, _ = counting()
    with torch.inference_mode():
        make(3, 'cpu')
    weight = torch.ones(3, requires_grad=True)
    (weight * make(3, 'cpu')).sum().backward()
    assert weight.grad.tolist() == [0, 1, 2]


def test_nothing_of_a_trace_is_kept():
    make, _ = counting()
    with FakeTensorMode():
        make(3, 'cpu')
    assert make(3, 'cpu').tolist() == [0, 1, 2]


def test_large_constants_are_not_heaped_up():
    make, calls = counting()
    for size in (2**26, 2**26 + 1):  # 512 MB each, on a device without memory
        make(size, 'meta')
    make(2**26 + 1, 'meta')
    assert len(calls) == 2
    make(2**26, 'meta')
    assert len(calls) == 3
