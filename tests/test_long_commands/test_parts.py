import os
from pathlib import Path

import pytest

from mim_plugin.apis.long_commands.command import names, run_long_command
from mim_plugin.apis.long_commands.machine import package_versions, place
from mim_plugin.apis.long_commands.options import find_configs
from mim_plugin.apis.long_commands.parts import Part, do_parts, raise_failures, start_progress
from mim_plugin.apis.long_commands.tables import markdown, spread
from mim_plugin.errors import ConfigError, MIMError


def fail() -> None:
    raise ValueError('it is broken')


def test_parts_go_on_after_one_that_fails(tmp_path: Path):
    did = []
    parts = [
        Part('first', 60.0, True, fail),
        Part('second', 60.0, False, fail),
        Part('third', 65.0, False, lambda: did.append('third')),
    ]
    progress = start_progress(parts, tmp_path / 'work.log', '3 parts')
    found = do_parts(parts, progress, tmp_path, lambda: did.append('written'))
    assert did == ['third', 'written'] and found == ['second: it is broken']
    log = (tmp_path / 'work.log').read_text()
    assert '3 parts; about 2:05 are left' in log and 'first: done before' in log and '[3/3] third: done in 0:0' in log
    assert 'ValueError: it is broken' in (tmp_path / 'failures.log').read_text()
    with pytest.raises(MIMError, match='1 of 3 parts failed; the same command .* First: second: it is broken'):
        raise_failures(found, parts, tmp_path)
    raise_failures([], parts, tmp_path)


def test_a_fatal_error_ends_the_work(tmp_path: Path):
    parts = [Part('first', 1.0, False, fail)]
    progress = start_progress(parts, tmp_path / 'work.log', '1 part')
    with pytest.raises(ValueError, match='broken'):
        do_parts(parts, progress, tmp_path, print, fatal=(ValueError,))


def test_a_command_says_how_to_go_on(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')

    def stopped() -> None:
        raise KeyboardInterrupt

    assert run_long_command(stopped, 'cpu') == 130
    assert os.environ['CUDA_VISIBLE_DEVICES'] == ''
    assert capsys.readouterr().err.startswith('The same command goes on')
    assert names('a, b') == ('a', 'b')


def test_tables_and_machine():
    assert markdown(['x', 'y', 'z'], [['1', '2', '3']], left=2) == '| x | y | z |\n| --- | --- | ---: |\n| 1 | 2 | 3 |'
    assert spread([1.0]) == '1.0' and spread([1.0, 2.0]) == '1.5 ± 0.7'
    assert place({'device': 'cpu', 'cores': 2, 'processor': 'P'}) == '2 cores, P' and place({'device': 'G'}) == 'G'
    assert {'python', 'torch', 'mim_plugin'} <= set(package_versions())


def test_configs_of_a_family():
    assert find_configs('compare').name == 'compare'
    with pytest.raises(ConfigError, match='configs/none is neither'):
        find_configs('none')
