"""The package against figures of the published implementations, and the command that compares them."""

import dataclasses
import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch

from mim_plugin.errors import DataError
from mim_plugin.testing.golden import UnknownCase, find_cases, load_case, run_case
from mim_plugin.testing.golden.case import Quantity
from mim_plugin.testing.golden.compare import compare_fact, compare_quantity
from mim_plugin.testing.golden.handlers import HANDLERS

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / 'tests' / 'golden'


def known_cases():
    kinds = {p.name: json.loads((p / 'case.json').read_text())['kind'] for p in find_cases([GOLDEN])}
    return [name for name, kind in kinds.items() if kind in HANDLERS]


@pytest.mark.parametrize('name', known_cases())
def test_case(name):
    case = load_case(GOLDEN / name)
    if case.kind == 'beit_seg_upernet':  # its heads are those of the toolbox
        pytest.importorskip('mmseg')
    lines = run_case(case)
    assert lines and [line for line in lines if not line.ok] == []


def test_every_family_has_a_case():
    assert {load_case(GOLDEN / name).kind for name in known_cases()} == set(HANDLERS)


@pytest.mark.parametrize(
    ('name', 'change'),
    [
        ('ibot_vit_forward_p16', {'num_heads': 2}),
        ('ibot_vit_forward_p16', {'norm_eps': 1e-3}),
        ('ibot_head_separate_free_norm', {'act': 'gelu'}),
        ('ibot_head_bn_train', {'training': False}),
        ('ibot_loss_two_global', {'student_temp': 0.11}),
        ('ibot_loss_two_global', {'center_momentum2': 0.8}),
        ('ibot_vit_step_shared', {'clip_grad': 0}),
        ('ibot_vit_step_shared', {'momentum_teacher': 0.91}),
        ('ibot_vit_step_separate_frozen', {'freeze_last_layer': 0}),
        ('ibot_vit_step_separate_frozen', {'optimizer': 'lars'}),
        ('ibot_vit_step_two_steps_local', {'lambda2': 1.1}),
        ('ibot_vit_step_two_steps_local', {'adamw_eps': 1e-5}),
        ('ibot_swin_forward_w4', {'norm_eps': 1e-3}),
        ('ibot_swin_forward_w4', {'img_size': 32}),
        ('ibot_swin_step_separate', {'clip_grad': 0}),
        ('eval_knn_5classes', {'temperature': 0.06}),
        ('masks_ibot_block_fixed', {'pred_ratio': 0.31, 'n_implementation': 3000}),
        ('beit_mim_shared_rel', {'layer_norm_eps': 1e-5}),
        ('beit_mim_shared_rel', {'clip_grad': None}),
        ('beit_mim_abs', {'lr_values': [0.00505]}),
        ('beit_mim_block_rel_rect', {'wd_values': [0.3, 0.2, 0.12]}),
        ('beit_mim_block_rel_rect', {'adam_eps': 1e-5}),
        ('beit_finetune_mean_blockrel', {'smoothing': 0.11}),
        ('beit_finetune_cls_shared', {'layer_norm_eps': 1e-4}),
        ('ibot_finetune_recipe_cls', {'norm_eps': 1e-4}),
        ('ibot_finetune_shared_relpos_sincos', {'abs_pos': 'none'}),
        ('beit_init_a', {'classifier_init_scale': 0.002}),
        ('beit_init_a', {'layer_scale_init': 0.11}),
        ('beit_transforms_a', {'interpolation': 'bilinear'}),
        ('beit_transforms_a', {'tokenizer': 'customized'}),
        ('beit_transforms_upscale', {'second_interpolation': 'bicubic'}),
        ('masks_beit_10x14_rect', {'min_aspect': 0.5, 'max_aspect': 2.5}),
        ('beit_seg_p16_blockrel', {'batchnorm_momentum': 0.2}),
        ('beit_seg_upernet_a', {'aux_in_index': 1}),
        ('ibot_det_backbone_p16_train_bn', {'training': False}),
        ('ibot_det_backbone_p16', {'backbone_img_size': [64, 48]}),
        ('ibot_seg_backbone_p16', {'num_heads': 1}),
        ('param_groups_beit_a', {'layer_decay': 0.7}),
        ('param_groups_beit_b', {'no_decay_on_relative_tables_in_block_rel_case': False}),
        ('param_groups_ibot_finetune_vit', {'weight_decay': 0.06}),
        ('param_groups_ibot_segmentation', {'layer_decay': 0.8}),
    ],
)
def test_every_setting_counts(name, change):
    case = load_case(GOLDEN / name)
    case.settings.update(change)
    assert not all(line.ok for line in run_case(case))


@pytest.mark.parametrize('name', ['beit_seg_p16_blockrel', 'ibot_seg_backbone_p16', 'ibot_det_backbone_p16'])
def test_a_rest_of_a_patch_is_left_out_as_published(name):
    case = load_case(GOLDEN / name)
    case.inputs = {key: torch.nn.functional.pad(image, (0, 9, 0, 5), value=0.5) for key, image in case.inputs.items()}
    assert [line for line in run_case(case) if not line.ok] == []


def facts_of(name, **settings):
    case = load_case(GOLDEN / name)
    return HANDLERS[case.kind](dataclasses.replace(case, settings={**case.settings, **settings})).facts


def test_warmup_beyond_the_run_is_refused():
    entry = load_case(GOLDEN / 'schedules_beit_a').settings['schedules'][0]
    schedules = [entry, {**entry, 'warmup_epochs': entry['epochs'] + 1}, {**entry, 'warmup_steps': 1000}]
    assert facts_of('schedules_beit_a', schedules=schedules)['refused']({'1': '', '2': ''})


def test_finetuning_without_layer_decay_has_two_groups():
    facts = facts_of('param_groups_beit_a', layer_decay=1.0)
    assert facts['finetune_groups_count'] == 2
    assert {values['lr_scale'] for values in facts['finetune_block_rel_mean_pool'].values()} == {1.0}
    stored = load_case(GOLDEN / 'param_groups_ibot_finetune_vit').expected['groups']
    merged = {}
    for group in stored:
        merged.setdefault(group['weight_decay'], []).extend(group['parameters'])
    groups = [{'weight_decay': decay, 'lr_scale': 1.0, 'parameters': names} for decay, names in merged.items()]
    assert facts_of('param_groups_ibot_finetune_vit', layer_decay=1.0)['groups'](groups)


def quantity(*values, atol=0.1, rtol=0.0):
    return Quantity(torch.tensor(values), atol, rtol)


def test_comparison_of_tensors():
    stored = quantity(1.0, math.nan, math.inf)
    assert compare_quantity('c', 'q', torch.tensor([1.05, math.nan, math.inf]), stored).ok
    assert not compare_quantity('c', 'q', torch.tensor([1.2, math.nan, math.inf]), stored).ok
    assert not compare_quantity('c', 'q', torch.tensor([math.nan, math.nan, math.inf]), stored).ok
    assert not compare_quantity('c', 'q', torch.tensor([1.0, 1.0, math.inf]), stored).ok
    assert not compare_quantity('c', 'q', None, stored).ok
    assert not compare_quantity('c', 'q', torch.zeros(2), stored).ok
    assert compare_quantity('c', 'q', 2.0, quantity(2.0)).ok  # a number for one element
    line = compare_quantity('c', 'q', torch.tensor([2.2]), quantity(2.0, atol=0, rtol=0.2))
    assert line.ok and line.max_abs_err == pytest.approx(0.2) and line.max_rel_err == pytest.approx(0.1)
    assert not compare_quantity('c', 'q', torch.tensor([1, 2]), Quantity(torch.tensor([1, 3]), 0.0, 0.0)).ok


def test_comparison_of_facts():
    assert compare_fact('c', 'f', {'a': [1, 0.1 + 0.2]}, {'a': [1, 0.3]}).ok
    assert not compare_fact('c', 'f', ['b', 'a'], ['a', 'b']).ok
    missing = compare_fact('c', 'f', None, [])
    assert not missing.ok and missing.max_abs_err == 1
    assert compare_fact('c', 'f', lambda stored: stored > 2, 3).ok


@pytest.fixture
def command():
    spec = importlib.util.spec_from_file_location('verify_golden', ROOT / 'tools' / 'verify_golden.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def renamed_case(folder, name, **fields):
    """A copy of a case with other fields in its description."""
    source = GOLDEN / name
    target = folder / f'{name}_{"_".join(fields)}'
    target.mkdir()
    (target / 'tensors.safetensors').write_bytes((source / 'tensors.safetensors').read_bytes())
    (target / 'case.json').write_text(json.dumps({**json.loads((source / 'case.json').read_text()), **fields}))
    return target


def test_command(command, capsys):
    assert command([str(GOLDEN / 'ibot_head_shared'), str(GOLDEN / 'eval_knn_5classes')]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == '2 passed, 0 failed'
    keys = {'case', 'quantity', 'max_abs_err', 'max_rel_err', 'atol', 'rtol', 'ok'}
    lines = [json.loads(line) for line in lines]
    assert all(line.keys() == keys and line['ok'] for line in lines)
    assert {'cls', 'grad/input', 'expected/parameters'} <= {x['quantity'] for x in lines}


def test_command_on_unknown_and_broken_cases(command, capsys, tmp_path):
    renamed_case(tmp_path, 'ibot_head_shared', kind='never_heard')
    good = renamed_case(tmp_path, 'ibot_head_shared', source='us')
    assert command([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == '1 passed, 1 failed'
    assert command([str(tmp_path), '--skip-unknown']) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == '1 passed, 0 failed' and any('never_heard' in line for line in lines)
    (good / 'tensors.safetensors').write_bytes(b'12345678{')
    assert command([str(tmp_path), '--skip-unknown']) == 1
    assert 'CheckpointError' in capsys.readouterr().out
    assert command([str(tmp_path / 'nothing')]) != 0


def test_settings_that_nothing_computes_are_unknown():
    case = load_case(GOLDEN / 'param_groups_ibot_pretrain_vit')
    with pytest.raises(UnknownCase, match='translation'):
        run_case(dataclasses.replace(case, settings={**case.settings, 'what': 'translation'}))
    with pytest.raises(DataError, match='case.json'):
        find_cases([ROOT / 'tools'])
