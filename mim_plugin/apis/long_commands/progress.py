"""Progress for people: which step of how many, what it does, how long it will take."""

import time
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

__all__ = ['Progress', 'ProgressHook', 'duration']


def duration(seconds: float) -> str:
    """Writes seconds as ``m:ss`` or ``h:mm:ss``."""
    total = int(round(max(0.0, seconds)))
    hours, rest = divmod(total, 3600)
    return f'{hours}:{rest // 60:02d}:{rest % 60:02d}' if hours else f'{rest // 60}:{rest % 60:02d}'


class Progress:
    """Prints lines such as ``[3/7] ... (about 4:10 left)`` through an mmengine logger.

    The estimate starts from the steps' costs on two CPU cores and is corrected by how long the finished part
    took here.

    Args:
        costs: Step -> expected seconds on two CPU cores, in the order of the run.
        log_file: File that gets the same lines.
    """

    def __init__(self, costs: dict[str, float], log_file: Path) -> None:
        self.costs = costs
        name = Path(log_file).stem
        self.logger = MMLogger(f'{name}-{time.time_ns()}', name, str(log_file), file_mode='a')
        self._begin = time.monotonic()
        self._done = 0.0
        self._skipped = 0.0
        self._current = ''

    def start(self, key: str, title: str) -> None:
        """Announces a step."""
        self._current = key
        self.say(title)

    def skip(self, key: str, text: str) -> None:
        """Announces that a step needs no work, and leaves it out of the estimate."""
        self._current = key
        self._skipped += self.costs[key]
        self.say(text)

    def finish(self) -> None:
        """Counts the current step as done."""
        self._done += self.costs[self._current]

    def say(self, text: str, fraction: float | None = None) -> None:
        """Prints one line.

        Args:
            text: What happens.
            fraction: Finished share of the current step, in 0..1; None leaves the estimate out.
        """
        number = list(self.costs).index(self._current) + 1 if self._current else 0
        left = '' if fraction is None else f' (about {duration(self.remaining(fraction))} left)'
        self.logger.info(f'[{number}/{len(self.costs)}] {text}{left}')

    def remaining(self, fraction: float = 0.0) -> float:
        """Estimates the seconds until the end of the whole run.

        Args:
            fraction: Finished share of the current step.
        """
        done = self._done + fraction * self.costs.get(self._current, 0.0)
        elapsed = time.monotonic() - self._begin
        # A tenth of the work weighs as a prior, so that the first seconds do not set the pace alone.
        prior = 0.1 * sum(self.costs.values())
        pace = (elapsed + prior) / (done + prior)
        return pace * max(0.0, sum(self.costs.values()) - self._skipped - done)


class ProgressHook(Hook):
    """Reports a training run's losses to :class:`Progress` every few seconds.

    Args:
        progress: Where to report.
        title: What is trained.
        figures: Logged scalar -> name for people.
        interval: Seconds between two lines.
        share: Part of the current step which this run is: (start, end) in 0..1.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        progress: Progress,
        title: str,
        figures: dict[str, str],
        interval: float = 15.0,
        share: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.progress = progress
        self.title = title
        self.figures = figures
        self.interval = interval
        self.share = share
        self._last = time.monotonic()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Prints a line when the interval is over."""
        now = time.monotonic()
        if now - self._last < self.interval:
            return
        self._last = now
        done = (runner.iter + 1) / runner.max_iters
        scalars = runner.message_hub.log_scalars
        parts = [
            f'{name} {scalars[f"train/{key}"].current():.3g}'
            for key, name in self.figures.items()
            if f'train/{key}' in scalars
        ]
        start, end = self.share
        text = ', '.join([f'{self.title}: step {runner.iter + 1} of {runner.max_iters}', *parts])
        self.progress.say(text, start + (end - start) * done)
