import copy

import pytest
import torch
from torch import nn

from mim_plugin.engine.optim import MIMAmpOptimWrapper, MIMOptimWrapper, clip_each_grad_
from mim_plugin.errors import ConfigError
from mim_plugin.registry import OPTIM_WRAPPERS


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))


def make_wrapper(model, kind=MIMOptimWrapper, **kwargs):
    return kind(optimizer=torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1), **kwargs)


def loss_of(model, scale=1.0):
    torch.manual_seed(1)
    return model(torch.randn(4, 6)).square().mean() * scale


def test_clip_of_each_gradient():
    torch.manual_seed(0)
    grads = [torch.randn(4, 5) * 3, torch.randn(7) * 0.01, torch.zeros(3), torch.randn(2, 2, 2)]
    expected = []
    for grad in grads:
        factor = 0.5 / (grad.norm() + 1e-6)
        expected.append(grad * factor if factor < 1 else grad.clone())
    total = torch.cat([grad.flatten() for grad in grads]).norm()
    small = grads[1].clone()
    norm = clip_each_grad_(grads, 0.5)
    for grad, reference in zip(grads, expected):
        torch.testing.assert_close(grad, reference, rtol=1e-6, atol=0)
    assert torch.equal(grads[1], small)  # a small gradient is left as it is, bit for bit
    torch.testing.assert_close(norm, total)


def test_clip_reads_nothing_back(count_reads):
    grads = [torch.randn(4, 5), torch.randn(7)]
    with count_reads() as reads:
        clip_each_grad_(grads, 0.5)
    assert reads == []


@pytest.mark.parametrize('per_parameter', [True, False])
def test_wrapper_clips_and_keeps_the_norm(per_parameter):
    model = make_model()
    wrapper = make_wrapper(model, clip_grad=dict(max_norm=0.05, per_parameter=per_parameter))
    norms = []
    original = wrapper.optimizer.step
    wrapper.optimizer.step = lambda: (norms.extend(p.grad.norm().item() for p in model.parameters()), original())
    wrapper.backward(loss_of(model, 100.0))
    total = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    wrapper.step()
    torch.testing.assert_close(wrapper.grad_norm, total)
    if per_parameter:
        assert norms == pytest.approx([0.05] * 4, rel=1e-3)
    else:
        assert sum(norm**2 for norm in norms) ** 0.5 == pytest.approx(0.05, rel=1e-3)


def test_clip_by_value_and_no_clip():
    model = make_model()
    wrapper = make_wrapper(model, clip_grad=dict(type='value', clip_value=1e-3))
    wrapper.update_params(loss_of(model))
    assert wrapper.grad_norm is None
    wrapper = make_wrapper(model)
    wrapper.update_params(loss_of(model))
    assert wrapper.grad_norm is None


def test_frozen_parameters_are_skipped_wholly():
    model = make_model()
    wrapper = make_wrapper(model, clip_grad=dict(max_norm=0.3, per_parameter=True))
    frozen = list(model[2].parameters())
    before = [param.detach().clone() for param in frozen]
    wrapper.frozen_params = frozen
    for _ in range(2):
        wrapper.update_params(loss_of(model))
    assert all(torch.equal(a, b) for a, b in zip(before, frozen))
    assert not any(param in wrapper.optimizer.state for param in frozen)
    assert wrapper.optimizer.state[model[0].weight]['step'] == 2
    # The norm is that of all gradients: frozen ones are dropped after clipping.
    reference = copy.deepcopy(model)
    loss_of(reference).backward()
    total = torch.cat([p.grad.flatten() for p in reference.parameters()]).norm()
    wrapper.update_params(loss_of(model))
    torch.testing.assert_close(wrapper.grad_norm, total)
    wrapper.frozen_params = []
    wrapper.update_params(loss_of(model))
    assert wrapper.optimizer.state[frozen[0]]['step'] == 1


def test_accumulation_equals_one_large_batch():
    model = make_model()
    twin = copy.deepcopy(model)
    images = torch.randn(8, 6)
    accumulating = make_wrapper(model, accumulative_counts=2, clip_grad=dict(max_norm=0.1, per_parameter=True))
    at_once = make_wrapper(twin, clip_grad=dict(max_norm=0.1, per_parameter=True))
    for half in images.chunk(2):
        accumulating.update_params(model(half).square().mean())
    at_once.update_params(twin(images).square().mean())
    for ours, reference in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(ours, reference)


def test_bfloat16_on_any_device():
    model = make_model()
    wrapper = OPTIM_WRAPPERS.build(
        dict(
            type='MIMAmpOptimWrapper',
            dtype='bfloat16',
            optimizer=torch.optim.AdamW(model.parameters(), lr=0.01),
            clip_grad=dict(max_norm=0.3, per_parameter=True),
        )
    )
    before = model[0].weight.detach().clone()
    with wrapper.optim_context(model):
        output = model(torch.randn(4, 6))
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().square().mean())
    assert model[0].weight.dtype == torch.float32 and not torch.equal(model[0].weight, before)
    assert 'loss_scaler' not in wrapper.state_dict()


@pytest.mark.skipif(torch.cuda.is_available(), reason='float16 works with a GPU')
def test_float16_needs_a_gpu():
    with pytest.raises(ConfigError, match="dtype='bfloat16'"):
        make_wrapper(make_model(), MIMAmpOptimWrapper, dtype='float16')


def test_unknown_precision():
    with pytest.raises(ConfigError, match='float8'):
        make_wrapper(make_model(), MIMAmpOptimWrapper, dtype='float8')


def scaled_wrapper(model, monkeypatch, **kwargs):
    """float16 bookkeeping without float16: torch has a scaler for the CPU too."""
    monkeypatch.setattr('mim_plugin.engine.optim.wrappers._build_scaler', lambda *_: torch.amp.GradScaler('cpu'))
    return make_wrapper(model, MIMAmpOptimWrapper, dtype='float16', **kwargs)


def test_loss_scaling_changes_nothing_but_the_overflow(monkeypatch):
    model = make_model()
    twin = copy.deepcopy(model)
    clip = dict(max_norm=0.05, per_parameter=True)
    scaled, plain = scaled_wrapper(model, monkeypatch, clip_grad=clip), make_wrapper(twin, clip_grad=clip)
    scaled.frozen_params, plain.frozen_params = [model[2].bias], [twin[2].bias]
    for _ in range(2):
        scaled.update_params(loss_of(model))
        plain.update_params(loss_of(twin))
    for ours, reference in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(ours, reference)
    before = [param.detach().clone() for param in model.parameters()]
    scaled.update_params(loss_of(model, float('inf')))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert scaled.loss_scaler.get_scale() == 2.0**15  # halved


def test_scaler_state_is_resumed(monkeypatch):
    model = make_model()
    wrapper = scaled_wrapper(model, monkeypatch)
    wrapper.update_params(loss_of(model, float('inf')))
    wrapper.update_params(loss_of(model))
    state = copy.deepcopy(wrapper.state_dict())
    resumed = scaled_wrapper(make_model(), monkeypatch)
    resumed.load_state_dict(copy.deepcopy(state))
    assert resumed.loss_scaler.state_dict() == wrapper.loss_scaler.state_dict()
    # A float16 checkpoint goes on in bfloat16.
    other = make_wrapper(make_model(), MIMAmpOptimWrapper, dtype='bfloat16')
    other.load_state_dict(state)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device, and MIM_TEST_GPU=1')
@pytest.mark.parametrize(('loss_scale', 'scale'), [('dynamic', 65536.0), (512.0, 512.0), (dict(init_scale=2.0), 2.0)])
def test_float16_on_a_gpu(loss_scale, scale):
    model = make_model().cuda()
    wrapper = make_wrapper(
        model, MIMAmpOptimWrapper, dtype='float16', loss_scale=loss_scale, clip_grad=dict(max_norm=0.3)
    )
    before = model[0].weight.detach().clone()
    with wrapper.optim_context(model):
        output = model(torch.randn(4, 6, device='cuda'))
    assert output.dtype == torch.float16
    wrapper.update_params(output.float().square().mean())
    assert not torch.equal(model[0].weight, before)
    assert wrapper.loss_scaler.get_scale() == scale
