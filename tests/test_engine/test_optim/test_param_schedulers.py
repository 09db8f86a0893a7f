import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from mim_plugin.engine.optim import MIMOptimWrapper, cosine_schedule
from mim_plugin.errors import ConfigError
from mim_plugin.registry import PARAM_SCHEDULERS


def make_wrapper(lr=2e-3, weight_decay=0.04, scales=(1.0, 1.0)):
    groups = [
        {'params': [torch.nn.Parameter(torch.zeros(2, 2))], 'lr': lr * scales[0]},
        {'params': [torch.nn.Parameter(torch.zeros(2))], 'lr': lr * scales[1], 'weight_decay': 0.0},
    ]
    return MIMOptimWrapper(torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay))


def build(wrapper, epoch_length=7, **cfg):
    return PARAM_SCHEDULERS.build(
        dict(cfg, convert_to_iter_based=True), default_args=dict(optimizer=wrapper, epoch_length=epoch_length)
    )


def build_both(wrapper):
    return [
        build(wrapper, type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=3, epochs=10),
        build(wrapper, type='WarmupCosineParamScheduler', param_name='weight_decay', end_value=0.4, epochs=10),
    ]


def run(wrapper, schedulers, steps):
    """(lr, wd of group 0, lr, wd of group 1) that each step is done with."""
    seen = []
    for _ in range(steps):
        seen.append([group[key] for group in wrapper.optimizer.param_groups for key in ('lr', 'weight_decay')])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return np.array(seen)


def test_golden_values_at_every_iteration(golden):
    case, tensors = golden('schedules_ibot_a')
    wrapper = make_wrapper()
    assert case['settings']['runs'][0]['epochs'] == 10
    seen = run(wrapper, build_both(wrapper), 70)
    np.testing.assert_allclose(seen[:, 0], tensors['outputs/lr_0'], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(seen[:, 1], tensors['outputs/weight_decay_0'], rtol=1e-6, atol=4e-8)
    assert (seen[:, 2] == seen[:, 0]).all() and (seen[:, 3] == 0).all()
    # The very numbers of the pure function, not a product of factors.
    assert seen[:, 0].tolist() == cosine_schedule(2e-3, 1e-6, 70, 21).tolist()


def test_resume_is_exact_anywhere():
    wrapper = make_wrapper()
    whole = run(wrapper, build_both(wrapper), 70)
    first = make_wrapper()
    schedulers = build_both(first)
    run(first, schedulers, 30)
    states, optimizer_state = [s.state_dict() for s in schedulers], first.state_dict()
    second = make_wrapper()
    schedulers = build_both(second)
    second.load_state_dict(optimizer_state)
    for scheduler, state in zip(schedulers, states):
        scheduler.load_state_dict(state)
    assert (run(second, schedulers, 40) == whole[30:]).all()


def test_a_changed_config_holds_after_a_resume():
    wrapper = make_wrapper()
    (scheduler, _) = build_both(wrapper)
    run(wrapper, [scheduler], 30)
    longer = make_wrapper(lr=1e-3)
    resumed = build(longer, type='WarmupCosineLR', eta_min=0.0, warmup_epochs=1, epochs=20)
    longer.load_state_dict(wrapper.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert longer.optimizer.param_groups[0]['lr'] == cosine_schedule(1e-3, 0.0, 140, 7)[30]


def test_scaled_groups_keep_their_share():
    wrapper = make_wrapper(scales=(1.0, 0.25))
    scheduler = build(wrapper, type='WarmupCosineLR', eta_min=1e-4, warmup_iters=4, epochs=2)
    seen = run(wrapper, [scheduler], 14)
    assert seen[:, 0].tolist() == cosine_schedule(2e-3, 1e-4, 14, 4).tolist()
    np.testing.assert_allclose(seen[:, 2], seen[:, 0] / 4, rtol=1e-12)


def test_length_defaults_to_that_of_the_run():
    wrapper = make_wrapper()
    scheduler = build(wrapper, type='WarmupCosineLR', end=3)
    assert run(wrapper, [scheduler], 21)[:, 0].tolist() == cosine_schedule(2e-3, 0.0, 21).tolist()
    by_epoch = PARAM_SCHEDULERS.build(
        dict(type='WarmupCosineLR', warmup=1, end=4), default_args=dict(optimizer=wrapper)
    )
    assert by_epoch.by_epoch
    assert run(wrapper, [by_epoch], 4)[:, 0].tolist() == cosine_schedule(2e-3, 0.0, 4, 1).tolist()


def test_beyond_its_end_a_schedule_rests():
    wrapper = make_wrapper()
    scheduler = build(wrapper, type='WarmupCosineLR', epochs=1)
    seen = run(wrapper, [scheduler], 10)[:, 0]
    assert seen[-1] == seen[6] == cosine_schedule(2e-3, 0.0, 7)[-1]


def test_works_on_mmengines_wrapper():
    param = torch.nn.Parameter(torch.zeros(2))
    wrapper = OptimWrapper(torch.optim.SGD([param], lr=0.5))
    build(wrapper, type='WarmupCosineLR', epochs=2, warmup_start=0.1, warmup_epochs=1)
    assert wrapper.get_lr()['lr'] == [0.1]


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='WarmupCosineLR', warmup_epochs=3, epochs=2), 'warm-up of 21 steps'),
        (dict(type='WarmupCosineLR', warmup_epochs=1, warmup_iters=3, epochs=2), 'give one of them'),
        (dict(type='WarmupCosineLR'), 'how long the run is'),
    ],
)
def test_impossible_configs(cfg, message):
    with pytest.raises(ConfigError, match=message):
        build(make_wrapper(), **cfg)


def test_a_start_at_zero_is_refused():
    with pytest.raises(ConfigError, match='cannot start at weight_decay=0'):
        build_both(make_wrapper(weight_decay=0.0))
