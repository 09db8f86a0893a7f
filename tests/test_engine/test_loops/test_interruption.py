import signal

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
