"""Runs Python programs as new interpreters do, without importing torch and the like anew for each.

The program of a server: it imports what takes long, nothing of ours and none of the toolboxes, and forks for every
request, a line of JSON on its standard input. :class:`FreshPython` starts it and asks.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRELOADED = (
    'torchvision', 'mmengine.runner', 'mmcv.ops', 'matplotlib.pyplot', 'scipy.optimize', 'skimage', 'sklearn.manifold',
    'pycocotools.mask', 'shapely', 'timm',
)  # fmt: skip


class FreshPython:
    """A function with the arguments of the interpreter: a script or ``-c CODE``, and what follows them."""

    def __init__(self) -> None:
        env = {**os.environ, 'OMP_NUM_THREADS': '1'}
        env.pop('PYTHONPATH', None)
        self.server = subprocess.Popen(
            [sys.executable, __file__], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(
        self, *arguments: str | Path, cwd: str | Path = '.', timeout: float = 300, **variables: str
    ) -> subprocess.CompletedProcess:
        """Run a program to its end.

        Args:
            arguments: As on a command line.
            cwd: Folder to run in.
            timeout: Seconds, after which it prints where it was and ends with 1.
            variables: Of the environment, besides those of this process.
        """
        arguments = [str(argument) for argument in arguments]
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ('out', 'err')]
            env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **variables}
            request = {'arguments': arguments, 'cwd': os.path.abspath(cwd), 'timeout': timeout, 'env': env}
            self.server.stdin.write(json.dumps({**request, 'paths': paths}) + '\n')
            self.server.stdin.flush()
            code = int(self.server.stdout.readline())
            texts = [Path(path).read_text(encoding='utf-8', errors='replace') for path in paths]
        return subprocess.CompletedProcess(arguments, code, *texts)

    def close(self) -> None:
        """End the server."""
        self.server.stdin.close()
        self.server.wait(timeout=30)


def serve() -> dict | None:
    """Answer requests with exit codes. Returns what to run in a fork, and None in the server at its end."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # who needs it will say so
    gc.freeze()  # memory of the server that forks need not copy
    for line in sys.stdin:
        process = os.fork()
        if not process:
            return json.loads(line)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    return None


def become(request: dict) -> None:
    """Make a fork what an interpreter with these arguments is at its start."""
    out, err = (os.open(path, os.O_WRONLY | os.O_CREAT) for path in request['paths'])
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(request['env'])
    os.chdir(request['cwd'])
    faulthandler.dump_traceback_later(request['timeout'], exit=True)
    first, *others = request['arguments']
    sys.argv = ['-c', *others[1:]] if first == '-c' else [first, *others]
    beginning = '' if first == '-c' else os.path.dirname(os.path.abspath(first))
    sys.path[:1] = [beginning, *request['env']['PYTHONPATH'].split(os.pathsep)]


if __name__ == '__main__' and (asked := serve()):
    become(asked)
    if sys.argv[0] == '-c':
        exec(compile(asked['arguments'][1], '<string>', 'exec'), {'__name__': '__main__'})
    else:
        runpy.run_path(sys.argv[0], run_name='__main__')
