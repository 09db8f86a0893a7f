"""Fixtures of the engine's tests."""

import itertools
import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from safetensors.torch import load_file

from tests.test_engine.toys import toy_config

_numbers = itertools.count()


@pytest.fixture
def golden():
    """Reads a golden case: its description and its tensors."""

    def read(name):
        folder = Path(__file__).parents[1] / 'golden' / name
        return json.loads((folder / 'case.json').read_text()), load_file(folder / 'tensors.safetensors')

    return read


@pytest.fixture
def count_reads(monkeypatch):
    """Context that lists every read of a tensor by the host: on a GPU each would wait for it."""

    @contextmanager
    def counting():
        reads = []

        def watch(name):
            original = getattr(torch.Tensor, name)

            def watched(self, *args, **kwargs):
                reads.append((name, self.numel()))
                return original(self, *args, **kwargs)

            return watched

        with monkeypatch.context() as patch:
            for name in ('item', 'tolist', 'cpu', 'numpy', '__float__', '__int__', '__bool__', '__index__'):
                patch.setattr(torch.Tensor, name, watch(name))
            yield reads

    return counting


@pytest.fixture
def toy_runner(tmp_path):
    """Makes the Runner of a toy run; ``changes`` has dotted keys."""

    def make(changes=None, work_dir='work'):
        cfg = toy_config(tmp_path / work_dir, changes)
        # mmengine keeps loggers and message hubs by name for ever.
        cfg.experiment_name = f'toy_{next(_numbers)}'
        return Runner.from_cfg(cfg)

    return make
