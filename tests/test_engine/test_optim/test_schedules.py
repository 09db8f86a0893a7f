"""Golden: schedules_ibot_a, schedules_ibot_b."""

import numpy as np
import pytest

from mim_plugin.engine.optim import cosine_schedule, cosine_value, temperature_schedule
from mim_plugin.errors import ConfigError


def schedules(run):
    """All tables of one run of a golden case, from its settings."""
    total = run['epochs'] * run['niter_per_epoch']
    peak = run['base_lr'] * run['total_batch_size'] / 256
    ramp, epochs = run['warmup_teacher_temp_epochs'], run['epochs']
    return {
        'lr': cosine_schedule(peak, run['min_lr'], total, run['warmup_epochs'] * run['niter_per_epoch']),
        'weight_decay': cosine_schedule(run['weight_decay'], run['weight_decay_end'], total),
        'momentum': cosine_schedule(run['momentum_teacher'], 1.0, total),
        'teacher_temp': temperature_schedule(run['warmup_teacher_temp'], run['teacher_temp'], ramp, epochs),
        'teacher_patch_temp': temperature_schedule(
            run['warmup_teacher_patch_temp'], run['teacher_patch_temp'], ramp, epochs, run['pred_start_epoch']
        ),
    }


@pytest.mark.parametrize('name', ['schedules_ibot_a', 'schedules_ibot_b'])
def test_golden(golden, name):
    case, tensors = golden(name)
    compared = set()
    for number, run in enumerate(case['settings']['runs']):
        for what, values in schedules(run).items():
            key = f'outputs/{what}_{number}'
            tolerance = case['outputs'][key]
            np.testing.assert_allclose(values, tensors[key], rtol=tolerance['rtol'], atol=tolerance['atol'])
            compared.add(key)
    assert compared == set(case['outputs'])


def test_value_is_the_table_entry():
    table = cosine_schedule(2.0, 0.5, 20, warmup=6, warmup_start=0.1)
    assert table.tolist() == [cosine_value(step, 2.0, 0.5, 20, 6, 0.1) for step in range(20)]
    assert table[0] == 0.1 and table[5] == table[6] == 2.0 and table[-1] > 0.5
    assert cosine_value(20, 2.0, 0.5, 20, 6) == cosine_value(1000, 2.0, 0.5, 20, 6) == 0.5


def test_warmup_of_one_step_starts_at_its_start():
    assert cosine_schedule(1.0, 0.0, 4, warmup=1).tolist()[:2] == [0.0, 1.0]


@pytest.mark.parametrize(('total', 'warmup'), [(5, 6), (5, -1), (0, 0)])
def test_impossible_warmup(total, warmup):
    with pytest.raises(ConfigError, match='warmup_epochs'):
        cosine_schedule(1.0, 0.0, total, warmup)


def test_impossible_temperature_ramp():
    with pytest.raises(ConfigError, match='ramps until epoch 7 but the run has 6 epochs'):
        temperature_schedule(0.04, 0.07, 4, 6, start_epoch=3)
    assert temperature_schedule(0.04, 0.07, 4, 6, start_epoch=2)[-1] == pytest.approx(0.07)
