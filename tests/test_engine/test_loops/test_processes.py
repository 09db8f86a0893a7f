"""Ctrl-C as a terminal sends it, and a signal that only one of two processes gets."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name('run_process.py')
ROOT = Path(__file__).parents[3]


def start(*args, **environment):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *args],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c_reaches_workers_too(tmp_path):
    process = start('alone', str(tmp_path))
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith('iteration 6'):
            break
    # A terminal signals the whole group: the loader's workers as well.
    os.killpg(process.pid, signal.SIGINT)
    rest = process.stdout.read()
    output = ''.join(seen) + rest
    assert process.wait(60) == 130, output
    (path,) = (tmp_path / 'alone').glob('interrupted_iter_*.pth')
    assert f'goes on from {path}' in rest, output
    assert 'Traceback' not in output and rest.count('iteration') <= 6, output


def test_two_processes_agree_where_to_stop(tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    common = {'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
    pair = [start('pair', str(tmp_path), RANK=str(rank), LOCAL_RANK=str(rank), **common) for rank in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], '\n'.join(outputs)
    assert [output.count('Stopped after iteration 13') for output in outputs] == [1, 0]
