import os
import signal

import pytest
from mmengine import dist

from mim_plugin.engine.loops import Interruption


def test_signal_that_comes_while_the_processes_agree_counts_at_the_next_time(monkeypatch):
    interruption = Interruption()
    exchanges = iter([lambda: setattr(interruption, 'signum', signal.SIGTERM), lambda: None])
    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(dist, 'all_reduce', lambda noted, op: next(exchanges)())
    # No process had a signal before the first exchange: all go on, this one included.
    assert interruption.agree() == 0
    assert interruption.agree() == signal.SIGTERM


def test_signal_of_another_process_is_taken_over(monkeypatch):
    interruption = Interruption()
    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(dist, 'all_reduce', lambda noted, op: noted.fill_(signal.SIGINT))
    assert interruption.agree() == signal.SIGINT
    assert interruption.signum == signal.SIGINT


def test_an_error_after_a_signal_is_a_stop():
    with pytest.raises(SystemExit) as stop, Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError('DataLoader worker is killed by signal: Terminated.')
    assert stop.value.code == 143
    assert interruption.signum == signal.SIGTERM


def test_an_error_without_a_signal_stays_an_error():
    with pytest.raises(RuntimeError, match='broken'), Interruption():
        raise RuntimeError('broken')
