"""How a tool starts work of minutes, and what it says when it is stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

__all__ = ['GOES_ON', 'names', 'run_long_command']

GOES_ON = 'The same command goes on with the first part that is not finished.'


def names(text: str) -> tuple[str, ...]:
    """The names in ``A,B,...``, for argparse."""
    return tuple(name.strip() for name in text.split(','))


def run_long_command(work: Callable[[], object], device: str | None, when_stopped: str = GOES_ON) -> int:
    """Runs what a tool is for.

    Args:
        work: Does it. Nothing that imports mmengine's Runner may have been imported before.
        device: ``cpu``, ``cuda``, or None for what the machine has.
        when_stopped: How to go on, printed when the work is stopped.

    Returns:
        Exit code, as of :func:`mim_plugin.apis.run.run_tool`.
    """
    if device == 'cpu':
        # mmengine takes a GPU whenever torch shows one at import, so torch must not see any.
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    from mim_plugin.apis.run import run_tool

    def main() -> None:
        try:
            work()
        except (KeyboardInterrupt, SystemExit):
            print(when_stopped, file=sys.stderr)
            raise

    return run_tool(main)
