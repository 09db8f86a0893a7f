"""Files with the names of the published ones at full size, with numbers that all differ.

That every list is read, loaded and written back is checked by ``tests/test_golden.py``; here the smaller ones also run.
"""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from mim_plugin.checkpoints import contents_of, load_pretrained
from mim_plugin.checkpoints.convert import convert_state, flat
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden import load_case, run_case
from mim_plugin.testing.golden.handlers.keys import beit_model, file_of_ibot, ibot_algorithm, state_of_beit
from tests.test_checkpoints.tiny import assert_same

GOLDEN = Path(__file__).parents[1] / 'golden'


def random(name, shape, dtype):
    return torch.randn(shape).abs().mul_(0.02).to(dtype)


def there_and_back(checkpoint, family):
    """The tensors of a file before, and after a conversion to our names and back."""
    ours = convert_state(checkpoint).state
    return flat(checkpoint)[0], convert_state({'state_dict': ours}, None, family).state


@pytest.mark.parametrize('name', ['vits16', 'vits16_default_heads', 'swint7'])
def test_a_full_file_of_ibot(name):
    torch.manual_seed(0)
    case = load_case(GOLDEN / f'keys_ibot_{name}')
    checkpoint = file_of_ibot(case.settings, case.expected, random)
    before, after = there_and_back(checkpoint, 'ibot')
    assert before.keys() == after.keys()
    assert_same(before, after)
    model = MODELS.build(ibot_algorithm(case.settings)).eval()
    load_pretrained(model, checkpoint, logger=None)
    with torch.no_grad():
        tokens = model.tokenizer.backbone.forward_tokens(torch.randn(1, 3, 224, 224))
        assert all(scores.isfinite().all() for scores in model.tokenizer.head(tokens))


def test_a_fine_tuned_file_of_beit():
    torch.manual_seed(0)
    models = load_case(GOLDEN / 'keys_beit_finetune').expected['models']
    (keys,) = [entry['keys'] for title, entry in models.items() if title.startswith('beit_base_patch16_224_pt22k_ft1k')]
    checkpoint = {'model': state_of_beit(keys, random)}
    before, after = there_and_back(checkpoint, 'beit')
    assert keys.keys() == after.keys()
    assert_same(before, after)
    model = MODELS.build(beit_model(contents_of(checkpoint).teacher)).eval()
    load_pretrained(model, checkpoint, logger=None)
    with torch.no_grad():
        assert model(torch.randn(1, 3, 224, 224)).isfinite().all()


def changed(name, **namespace):
    case = load_case(GOLDEN / name)
    case.settings['namespace'] |= namespace
    return case


@pytest.mark.parametrize(
    ('namespace', 'wrong'),
    [
        ({'norm_last_layer': True}, {'optimizer'}),  # frozen scales are not in the optimizer
        ({'act_in_head': 'relu'}, set()),  # leaves no trace in a file
    ],
    ids=str,
)
def test_options_of_the_run_count(namespace, wrong):
    lines = run_case(changed('keys_ibot_vits16', **namespace))
    assert {line.quantity.removeprefix('expected/') for line in lines if not line.ok} == wrong


@pytest.mark.parametrize('namespace', [{'patch_size': 8}, {'out_dim': 4096}, {'norm_in_head': 'bn'}], ids=str)
def test_a_file_of_another_run_does_not_fit(namespace):
    with pytest.raises(CheckpointError, match='does not fit'):
        run_case(changed('keys_ibot_vits16', **namespace))


def test_the_error_is_the_number_of_mismatches():
    case = load_case(GOLDEN / 'keys_ibot_vits16')
    case.expected['number_of_values'] = {'student': 1, 'teacher': 2}
    case.expected['top_level_entries'] = [*case.expected['top_level_entries'], 'centers', 'queue']
    case.expected['args']['fields'].append('never_heard')  # is then in the file, too
    errors = {line.quantity: line.max_abs_err for line in run_case(case)}
    assert errors['expected/number_of_values'] == 2 and errors['expected/top_level_entries'] == 2
    assert errors['expected/args'] == errors['expected/student'] == 0
    case = load_case(GOLDEN / 'keys_beit_finetune')
    (title, entry), *_ = case.expected['models'].items()
    models = {title: {**entry, 'parameters': 7, 'entries': 8}}
    (line, *_) = run_case(dataclasses.replace(case, expected={'models': models, 'top_level': {}}))[:1]
    assert line.max_abs_err == 2


def test_heads_without_a_bottleneck():
    """No published run has them; the second name of a shared layer is another one, as the list itself says."""
    case = changed('keys_ibot_vits16', bottleneck_dim=0)
    case.expected['args']['fields'].append('bottleneck_dim')
    shapes = {'mlp.4.weight': [8192, 2048], 'mlp.4.bias': [8192]}
    for part in ('student', 'teacher'):
        entries = [entry for entry in case.expected[part] if 'last_layer' not in entry[0]]
        prefix = entries[-1][0].removesuffix('mlp.4.bias')
        kept = [[name, shapes.get(name.removeprefix(prefix), shape), dtype] for name, shape, dtype in entries]
        second = [[prefix + name.replace('mlp.4', 'mlp2'), shape, 'float32'] for name, shape in shapes.items()]
        case.expected[part] = kept + second
        case.expected['number_of_values'][part] = sum(math.prod(shape) for _, shape, _ in case.expected[part])
        case.expected['tensors_sharing_storage'][part] = 'head.mlp2.* is the same parameter as head.mlp.4.*'
    groups = case.expected['optimizer']
    groups['indices_group0'] = [name for name in groups['indices_group0'] if 'last_layer' not in name]
    assert all(line.ok for line in run_case(case))
