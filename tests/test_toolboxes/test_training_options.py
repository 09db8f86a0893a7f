"""Options of a training run, on the tasks of the three toolboxes."""

import copy
import math
from pathlib import Path

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch.nn.modules.batchnorm import _BatchNorm

from mim_plugin.apis.run import train
from mim_plugin.engine.optim import MIMAmpOptimWrapper, MIMOptimWrapper
from tests.test_toolboxes.tasks import METRICS, TASKS, batch_of, build, loss_of, run_of, small, without_chance


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


def gradients(cfg, batch, **backbone):
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.update(backbone)
    model = build(cfg)
    torch.manual_seed(0)
    loss_of(model, copy.deepcopy(batch)).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_activation_checkpointing_gives_the_same_gradients(task, tmp_path):
    cfg = small(task, tmp_path)  # with stochastic depth and dropout as they are
    batch = batch_of(cfg)
    plain, checkpointed = gradients(cfg, batch), gradients(cfg, batch, with_cp=True)
    assert plain.keys() == checkpointed.keys() and any(name.startswith('backbone.layers.0') for name in plain)
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f'{n} {m}')


def halves(batch, task):
    """Two batches of one image, and the batch of both."""
    if task == 'detection':
        # Its losses are means over regions, so only parts with equally many add up to the whole.
        batch = {key: [values[0], copy.deepcopy(values[0])] for key, values in batch.items()}
    return [{key: values[i : i + 1] for key, values in batch.items()} for i in range(2)], batch


def test_accumulated_steps_equal_one_with_the_larger_batch(task, tmp_path):
    cfg = without_chance(small(task, tmp_path))
    parts, whole = halves(batch_of(cfg), task)

    def trained(batches):
        model = build(cfg)
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                layer.eval()  # in training its statistics are those of one part
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        wrapper = MIMOptimWrapper(optimizer, accumulative_counts=len(batches))
        wrapper.initialize_count_status(model, 0, len(batches))
        for batch in batches:
            torch.manual_seed(0)
            model.train_step(copy.deepcopy(batch), wrapper)
        return model.state_dict()

    start, once, twice = build(cfg).state_dict(), trained([whole]), trained(parts)
    moved = [name for name, value in once.items() if not torch.equal(value, start[name])]
    assert len(moved) > len(start) / 2
    for name in moved:
        torch.testing.assert_close(twice[name], once[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f'{n} {m}')


@pytest.mark.parametrize('task', ['segmentation', 'classification'])
def test_bfloat16_is_near_float32(task, tmp_path):
    cfg = without_chance(small(task, tmp_path))
    batch = batch_of(cfg)
    losses = []
    for wrapper_type in (MIMOptimWrapper, MIMAmpOptimWrapper):
        model = build(cfg)
        wrapper = wrapper_type(optimizer=torch.optim.SGD(model.parameters(), lr=0.01))
        torch.manual_seed(0)
        losses.append(float(model.train_step(copy.deepcopy(batch), wrapper)['loss']))
        assert all(p.dtype == torch.float32 for p in model.parameters())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def wrapper_of_half_precision(task):
    if torch.cuda.is_available():
        return AmpOptimWrapper
    # The operators of mmcv know float16 and no bfloat16, which is the half precision of a CPU.
    return MIMOptimWrapper if task == 'detection' else MIMAmpOptimWrapper


def test_a_whole_run_with_every_option(task, tmp_path):
    """Half precision, accumulation, scaled learning rates and the best checkpoint, by the options of tools/train.py."""
    cfg = small(task, tmp_path)
    cfg.default_hooks.checkpoint.save_best = METRICS[task]
    if task == 'detection':
        cfg.model.test_cfg.rcnn.score_thr = 0.0  # a new model is sure of nothing
    options = {'optim_wrapper.accumulative_counts': 2, 'auto_scale_lr.base_batch_size': 8}
    cfg = run_of(cfg, tmp_path, amp=True, auto_scale_lr=True, cfg_options=options)
    runner = train(cfg)
    assert type(runner.optim_wrapper) is wrapper_of_half_precision(task)
    assert runner.optim_wrapper._accumulative_counts == 2
    assert math.isfinite(runner.message_hub.get_scalar('train/loss').current())
    (best,) = Path(cfg.work_dir).glob('best_*.pth')
    assert METRICS[task].split('/')[-1] in best.name

    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        unscaled = build_optim_wrapper(runner.model, cfg.optim_wrapper).optimizer.param_groups
    rates = [group['initial_lr'] for group in runner.optim_wrapper.optimizer.param_groups]
    assert len(set(rates)) > 2  # of layer decay, which the scale leaves as it is
    assert rates == pytest.approx([group['lr'] * 2 / 8 for group in unscaled])
