import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.test_evaluation.run_process import main

ROOT = Path(__file__).parents[2]


def launch(rank, world_size, folder):
    command = [sys.executable, str(Path(__file__).parent / 'run_process.py'), str(rank), str(world_size), str(folder)]
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope='module')
def seen(tmp_path_factory):
    pytest.importorskip('sklearn')
    folder = tmp_path_factory.mktemp('processes')
    processes = [launch(rank, 2, folder) for rank in range(2)]
    single = main(0, 1, folder)
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], '\n'.join(outputs)
    return single, *(torch.load(folder / f'{rank}.pt') for rank in range(2))


@pytest.mark.parametrize('case', ['odd', 'binary', 'leave one out'])
def test_figures_are_those_of_one_process(seen, case):
    single, first, second = (process[case] for process in seen)
    assert first == pytest.approx(single, nan_ok=True, abs=1e-6)
    assert second == pytest.approx(first, nan_ok=True, abs=0)


def test_features_are_those_of_one_process(seen):
    single, first, second = (process['features'] for process in seen)
    assert single.shape == (9, 6)
    assert torch.allclose(first, single, atol=1e-6)
    assert torch.equal(first, second)


def test_a_small_part_and_equal_rows_change_nothing(seen):
    single, first, second = (process['neighbors'] for process in seen)
    for ours, theirs in ((first, single), (second, single)):
        assert torch.allclose(ours[0], theirs[0], atol=1e-6)
        assert torch.equal(ours[1], theirs[1])
