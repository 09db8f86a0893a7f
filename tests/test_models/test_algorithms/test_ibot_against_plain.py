"""Options of a training step that no published figure covers, against a plain implementation."""

import json
from pathlib import Path

import pytest
import torch

from mim_plugin.checkpoints.formats.ibot import to_official
from mim_plugin.testing.golden.case import Case, Quantity
from mim_plugin.testing.golden.handlers.ibot_step import build_ibot, ibot_step
from tests.test_models.test_algorithms import plain_ibot

CASE = Path(__file__).parents[2] / 'golden' / 'ibot_vit_step_two_steps_local' / 'case.json'
BASE = {**json.loads(CASE.read_text())['settings'], 'base_lr': 0.1, 'depth': 1}

VARIANTS = {
    'no clip, no freeze, late prediction': {'clip_grad': 0, 'freeze_last_layer': 0, 'pred_start_epoch': 2, 'epoch': 3},
    'frozen in a warm-up': {'freeze_last_layer': 3, 'epoch': 1, 'warmup_epochs': 2, 'norm_last_layer': False},
    'three global crops': {'n_global': 3, 'n_local': 1, 'lambda1': 0.5, 'lambda2': 2.0, 'clip_grad': 0.05},
    'layer norm, relu, two layers': {'norm_in_head': 'ln', 'act_in_head': 'relu', 'head_nlayers': 2},
    'one layer': {'head_nlayers': 1},
    'batch norm from the student': {'norm_in_head': 'bn', 'teacher_init': 'from_student'},
    'separate heads': {'shared_head': False, 'shared_head_teacher': False, 'patch_out_dim': 20, 'n_local': 0},
    'no bottleneck': {'head_bottleneck_dim': 0, 'shared_head': False, 'shared_head_teacher': False},
    'no bottleneck, shared': {'head_bottleneck_dim': 0, 'head_nlayers': 2, 'freeze_last_layer': 9},
    'semi-shared, stored': {'shared_head': False, 'shared_head_teacher': True},
    'only the teacher separate': {'shared_head_teacher': False, 'teacher_init': 'from_student'},
    'mean pooling and layer scale': {'use_mean_pooling': True, 'layer_scale_init': 0.1},
    'no bias of qkv': {'qkv_bias': False, 'patch_size': 16},
    'nothing hidden': {'use_masked_im_modeling': False},
    'empty masks': {'hidden': 0.0},
    'sgd': {'optimizer': 'sgd'},
    'lars': {'optimizer': 'lars', 'base_lr': 100.0, 'freeze_last_layer': 9},
    'slow centres, hot student': {'center_momentum': 0.5, 'center_momentum2': 0.7, 'student_temp': 0.2},
}


def make_weights(s):
    """Random weights of both networks and the centres, under official names."""
    torch.manual_seed(3)
    model = build_ibot(s)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith('running_var'):
                value.uniform_(0.5, 2)
            elif value.is_floating_point():
                value.copy_(torch.randn(value.shape) * (0.3 if value.ndim > 1 else 0.1))
                if name.endswith(('ln1.weight', 'ln2.weight', 'mlp.1.weight', 'weight_g')):
                    value.add_(1.0)
                if name.endswith('weight_g') and s['norm_last_layer']:
                    value.fill_(1.0)
    return to_official(model.state_dict())


def make_inputs(s):
    torch.manual_seed(4)
    cells = s['img_size'] // s['patch_size']
    inputs = {}
    for step in range(s['n_steps']):
        for i in range(s['n_global'] + s['n_local']):
            side = s['img_size'] if i < s['n_global'] else s['img_size'] // 2
            inputs[f'step{step}_crop{i}'] = torch.randn(2, 3, side, side)
        for i in range(s['n_global']):
            mask = torch.rand(2, cells, cells) < s.get('hidden', 0.4)
            mask[0] &= bool(i)  # one image without hidden patches
            inputs[f'step{step}_mask{i}'] = mask
    return inputs


def once(state):
    """Without prefix, aliases of shared layers and second listings of the one norm."""
    state = {n.removeprefix('module.'): v.clone() for n, v in state.items()}
    aliases = [n for n in state if n.startswith(('head.last_layer2', 'head.mlp2'))]
    norms = [n for n in state if n.startswith('head.mlp.4.') and 'head.mlp.1.weight' in state]
    return {n: v for n, v in state.items() if n not in norms}, aliases


def start(s, weights):
    """Both networks and the centres for the plain implementation."""
    student, aliases = once(weights['student'])
    if s['teacher_init'] == 'stored':
        teacher, teacher_aliases = once(weights['teacher'])
    else:
        teacher = {n: v.clone() for n, v in student.items() if not n.endswith('masked_embed')}
        teacher_aliases = aliases
    if s['shared_head']:
        student = {n: v for n, v in student.items() if n not in aliases}
    if s['shared_head_teacher']:
        teacher = {n: v for n, v in teacher.items() if n not in teacher_aliases}
    return student, teacher, [weights['ibot_loss'][n].clone() for n in ('center', 'center2')]


@pytest.mark.parametrize('name', VARIANTS)
def test_steps(name):
    s = {**BASE, **VARIANTS[name]}
    weights, inputs = make_weights(s), make_inputs(s)
    student, teacher, centers = start(s, weights)
    batches = [
        (
            [inputs[f'step{step}_crop{i}'] for i in range(s['n_global'])],
            [inputs[f'step{step}_crop{s["n_global"] + i}'] for i in range(s['n_local'])],
            [inputs[f'step{step}_mask{i}'] for i in range(s['n_global'])],
        )
        for step in range(s['n_steps'])
    ]
    logged = plain_ibot.train(student, teacher, centers, batches, s)
    case = Case(name, 'ibot_vit_step', s, weights, inputs, dict[str, Quantity](), {})
    ours = ibot_step(case).outputs

    for step, row in enumerate(logged):
        assert ours[f'cls_{step}'].item() == pytest.approx(row['cls'], rel=2e-5)
        assert ours[f'patch_{step}'].item() == pytest.approx(row['patch'], rel=2e-5)
        torch.testing.assert_close(ours[f'center_after_{step}'], row['center'], rtol=1e-5, atol=2e-6)
        torch.testing.assert_close(ours[f'center2_after_{step}'], row['center2'], rtol=1e-5, atol=2e-6)
    for kind, prefix, state in (('student', 'module.', student), ('teacher', '', teacher)):
        for key, value in state.items():
            # Adam turns the rounding noise of gradients that are zero into steps of any size.
            noise = key.endswith('attn.qkv.bias') or (
                s['norm_in_head'] == 'bn' and key.endswith(('.bias', 'running_mean'))
            )
            atol = 0.01 if noise and s['optimizer'] == 'adamw' else 2e-5
            actual = ours[f'after/{kind}/{prefix}{key}']
            if not key.endswith('num_batches_tracked'):
                torch.testing.assert_close(actual, value, rtol=1e-4, atol=atol, msg=lambda m, key=key: f'{key}: {m}')
