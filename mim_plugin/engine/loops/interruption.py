"""Ctrl-C that waits for the end of the step."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import torch
from mmengine import dist

__all__ = ['Interruption']


class Interruption:
    """Context in which SIGINT (Ctrl-C) and SIGTERM (a scheduler's notice) only leave a note.

    A second Ctrl-C acts at once. Signals reach the main thread alone, so in another
    thread the context does nothing. Worker processes forked inside it inherit the
    handler and live on until the main process is done with them. An error after a
    signal is its consequence (a worker that was ended in mid-step) and leaves the
    context as the exit of a stopped process, not as a failure of the work.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signum = 0
        self._previous: dict[int, Any] = {}
        self._pid = os.getpid()

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = {signum: signal.signal(signum, self._note) for signum in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        if self.signum and isinstance(error, RuntimeError):
            os.write(2, b'Stopped in the middle of a step; the last checkpoint is the one before it.\n')
            raise SystemExit(128 + self.signum) from error

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self.signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum
        if os.getpid() == self._pid:
            # print() must not be entered twice, and a signal may come inside it.
            os.write(2, b'\nThe step is being finished and a checkpoint saved; Ctrl-C again stops at once.\n')

    def agree(self) -> int:
        """The signal that any process got (0 for none); all processes must call it together.

        A note of one process becomes one of all, so that they stop at the same iteration.
        """
        if dist.get_world_size() == 1:
            return self.signum
        noted = torch.tensor(self.signum)
        dist.all_reduce(noted, 'max')
        agreed = int(noted)
        # A signal that came during the exchange is for the next one.
        self.signum = max(self.signum, agreed)
        return agreed
