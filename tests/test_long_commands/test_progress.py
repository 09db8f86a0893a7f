from pathlib import Path

import pytest

from mim_plugin.apis.long_commands.progress import Progress, duration


def test_duration():
    assert [duration(seconds) for seconds in (0, 61.4, 3725)] == ['0:00', '1:01', '1:02:05']


def test_progress_counts_steps_and_estimates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 100.0, 100.0, 100.0, 100.0])
    monkeypatch.setattr('mim_plugin.apis.long_commands.progress.time.monotonic', lambda: next(clock))
    progress = Progress({'a': 100.0, 'b': 300.0, 'c': 100.0}, tmp_path / 'log')
    progress.start('a', 'first')
    progress.finish()
    assert progress.remaining() == pytest.approx(400.0)  # exactly as fast as expected
    progress.skip('b', 'nothing to do')
    assert progress.remaining() == pytest.approx(100.0)
    progress.start('c', 'last')
    progress.say('half', 0.5)
    text = (tmp_path / 'log').read_text()
    assert '[1/3] first' in text and '[2/3] nothing to do' in text and '[3/3] half (about 0:' in text
