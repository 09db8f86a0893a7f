"""Golden: ibot_lars_a."""

import copy

import torch

from mim_plugin.engine.optim import LARS
from mim_plugin.registry import OPTIMIZERS


def test_golden(golden):
    case, tensors = golden('ibot_lars_a')
    settings, groups = case['settings'], case['expected']
    params = {
        name: torch.nn.Parameter(tensors[f'weights/parameters/{name}'].clone())
        for name in groups['group0'] + groups['group1']
    }
    optimizer = LARS(
        [{'params': [params[name] for name in groups[key]]} for key in ('group0', 'group1')],
        lr=0.0,
        momentum=settings['momentum'],
        eta=settings['eta'],
    )
    for step in range(settings['n_steps']):
        for group in optimizer.param_groups:
            group['lr'] = settings['lr'][step]
        optimizer.param_groups[0]['weight_decay'] = settings['weight_decay'][step]
        for name, param in params.items():
            absent = name in settings['no_gradient'][step]
            param.grad = None if absent else tensors[f'inputs/grad_{step}_{name}'].clone()
        optimizer.step()
    assert len(case['outputs']) == len(params)
    for key, tolerance in case['outputs'].items():
        torch.testing.assert_close(
            params[key.removeprefix('outputs/after/')].data,
            tensors[key],
            rtol=tolerance['rtol'],
            atol=tolerance['atol'],
        )


def test_closure_is_evaluated_with_gradients():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = OPTIMIZERS.build(dict(type='LARS', params=[weight], lr=1.0))

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 4.0
    # |w| = 2, |g| = 4: one step of eta * |w| along the gradient's direction.
    torch.testing.assert_close(weight.data, torch.full((2, 2), 1 - 0.001))


def test_state_survives_saving():
    weight = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = LARS([weight], lr=0.5, weight_decay=0.1)
    weight.grad = torch.randn(3, 2)
    optimizer.step()
    twin = torch.nn.Parameter(weight.data.clone())
    resumed = LARS([twin], lr=0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    twin.grad = weight.grad
    optimizer.step()
    resumed.step()
    assert torch.equal(twin.data, weight.data)
