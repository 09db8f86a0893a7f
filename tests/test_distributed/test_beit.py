"""Two real processes train a BEiT; the one that compares is a process alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.test_distributed.beit_process import main

ROOT = Path(__file__).parents[2]


def launch(rank, folder):
    command = [sys.executable, str(Path(__file__).parent / 'beit_process.py'), str(rank), '2', str(folder)]
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope='module')
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp('processes')
    processes = [launch(rank, folder) for rank in range(2)]
    single = main(0, 1, folder)
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], '\n'.join(outputs)
    return single, *(torch.load(folder / f'{rank}.pt') for rank in range(2))


def largest_difference(one, two):
    assert one.keys() == two.keys()
    return max((one[name] - two[name]).abs().max().item() for name in one)


def test_global_mean_makes_two_processes_one(seen):
    single, first, second = (process['global'] for process in seen)
    assert largest_difference(first['state'], second['state']) == 0
    assert largest_difference(first['state'], single['state']) < 1e-6
    # Each loss is a share of the sum; what the processes log is the mean of these.
    for alone, *parts in zip(single['losses'], first['losses'], second['losses']):
        assert sum(parts) / 2 == pytest.approx(alone, rel=1e-5)


def test_local_means_weigh_the_patches_of_the_emptier_process_more(seen):
    single, first, second = (process['local'] for process in seen)
    assert largest_difference(first['state'], second['state']) == 0
    assert largest_difference(first['state'], single['state']) > 1e-4
    ten, four = (process['losses'][0] for process in (first, second))
    assert (10 * ten + 4 * four) / 14 == pytest.approx(single['losses'][0], rel=1e-5)


@pytest.mark.parametrize('name', ['conv.bias', 'shift'])
def test_the_tokenizer_is_not_sent_around(seen, name):
    single, first, second = (process['global']['tokenizer'] for process in seen)
    assert torch.equal(first[name], single[name])
    assert torch.equal(second[name], single[name] + 1)


def test_the_tokenizer_is_not_trained(seen):
    for process in seen:
        assert largest_difference(process['global']['tokenizer_before'], process['global']['tokenizer']) == 0
