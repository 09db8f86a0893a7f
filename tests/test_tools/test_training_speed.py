"""tools/benchmarks/training_speed.py as a user types it."""

import re

import pytest
import torch

from mim_plugin.apis import benchmark_training as speed
from mim_plugin.errors import ConfigError


def test_a_row_for_each_precision(call):
    options = ('--batch-size', '3', '--steps', '1', '--rounds', '2', '--warmup', '1')
    rows = ('--precision', 'config', 'bfloat16')
    done = call('benchmarks/training_speed.py', 'my_configs/ibot_tiny.py', *rows, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = dict(re.findall(r'^(float32|bfloat16) +3 +([0-9.]+) +[0-9.]+', done.stdout, re.MULTILINE))
    assert rows.keys() == {'float32', 'bfloat16'} and all(float(value) > 0 for value in rows.values())


def test_steps_are_those_of_a_training_run(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    seen = []

    def run(loop):
        run_steps(loop)
        model = loop.runner.model
        student, teacher = model.backbone.cls_token, model.tokenizer.backbone.cls_token
        seen.append((loop._iter, torch.equal(student, teacher), bool(model.loss_module.center.any())))
        return model

    run_steps = speed.TimedSteps.run
    monkeypatch.setattr(speed.TimedSteps, 'run', run)
    found = speed.benchmark_training('my_configs/ibot_tiny.py', steps=2, rounds=3, warmup=1)
    # The teacher follows, the centre moves: the hooks take part.
    assert seen == [(7, False, True)]
    assert len(found.seconds) == 3 and found.batch_size == 4
    assert found.images == pytest.approx(4 / sorted(found.seconds)[1])


def test_new_heads_need_no_file_to_be_timed(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    warmup = {'custom_hooks.2': {'type': 'HeadWarmupHook', '_delete_': True}}
    assert speed.benchmark_training('my_configs/ibot_tiny.py', steps=1, rounds=1, warmup=1, cfg_options=warmup).seconds


def test_waits_and_operations_are_printed():
    row = speed.StepSpeed('bfloat16', 64, [0.1, 0.5, 0.1], 2048.4, 3 * 10**12, {'a.py:7': 6})
    table = speed.speed_table([row]).splitlines()
    assert table[1].split() == ['bfloat16', '64', '100.0', '640.0', '2048', '30.0', '2.0']
    assert table[2] == 'bfloat16: 6 waits in 3 steps at a.py:7'


@pytest.mark.parametrize(
    ('config', 'options', 'message'),
    [
        ('configs/evaluation/knn_vit-small-p16_in1k.py', {}, 'trains nothing'),
        ('configs/classification/ibot_vit-small-p16_1xb64-coslr-50e_custom.py', {}, 'does not pretrain'),
        ('tests/data/ibot_tiny.py', dict(steps=0), '1 or more'),
        ('tests/data/ibot_tiny.py', dict(precision='float8'), 'float32, bfloat16'),
    ],
)
def test_bad_input(config, options, message, pytestconfig):
    with pytest.raises(ConfigError, match=message):
        speed.benchmark_training(str(pytestconfig.rootpath / config), **options)
