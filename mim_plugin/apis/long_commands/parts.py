"""Long work in parts: what is finished is kept, so that the same command goes on where it was stopped."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.registry import DefaultScope

from mim_plugin.apis.long_commands.progress import Progress, duration
from mim_plugin.errors import ConfigError, MIMError

__all__ = ['Part', 'ResultFile', 'do_parts', 'raise_failures', 'start_progress', 'write_whole']

FAILURES = 'failures.log'


@dataclass(frozen=True)
class Part:
    """What is done in one piece.

    Attributes:
        title: What happens, for people.
        seconds: Expected duration.
        done: Whether an earlier call did it.
        work: Does it and keeps the result.
    """

    title: str
    seconds: float
    done: bool
    work: Callable[[], object]


def write_whole(path: Path, content: dict) -> None:
    """Writes JSON values into a file, all of them or none."""
    temporary = path.with_suffix('.json.part')
    temporary.write_text(json.dumps(content, indent=1), encoding='utf-8')
    os.replace(temporary, path)


class ResultFile:
    """JSON values of finished parts; the file is whole at any moment.

    Args:
        path: The file; results of an earlier call are read.
        options: What all results have in common: option -> value. It must be that of the earlier call.

    Raises:
        ConfigError: The file is damaged, or belongs to other options.
    """

    def __init__(self, path: Path, options: Mapping[str, object]) -> None:
        self.path = Path(path)
        self.content: dict = dict(options)
        if self.path.is_file():
            self._read(options)
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def _read(self, options: Mapping[str, object]) -> None:
        try:
            found = json.loads(self.path.read_text(encoding='utf-8'))
            earlier = {name: found[name] for name in options}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f'{self.path} is damaged ({error}): give another --work-dir, or remove it.') from error
        for name, value in options.items():
            if earlier[name] != value:
                raise ConfigError(
                    f'{self.path} holds results with --{name} {earlier[name]}, but --{name} is {value}: give another '
                    '--work-dir, figures of different runs do not belong in one table.'
                )
        self.content = found

    def save(self) -> None:
        """Write the file."""
        write_whole(self.path, self.content)

    def once(self, table: dict, key: str, work: Callable[[], dict]) -> dict:
        """``table[key]``, found by ``work`` and saved unless an earlier call did.

        Args:
            table: A dict inside the content.
            key: Place in it.
            work: Finds the JSON values.
        """
        if key not in table:
            table[key] = work()
            self.save()
        return table[key]


def _costs(parts: Sequence[Part]) -> dict[str, float]:
    return {str(number): part.seconds for number, part in enumerate(parts)}


def start_progress(parts: Sequence[Part], log_file: Path, plan: str) -> Progress:
    """The progress of parts; its first line is the plan, and how long what is not done will take."""
    progress = Progress(_costs(parts), log_file)
    left = sum(part.seconds for part in parts if not part.done)
    progress.say(f'{plan}; about {duration(left)} are left')
    return progress


def do_parts(
    parts: Sequence[Part],
    progress: Progress,
    folder: Path,
    after: Callable[[], object],
    fatal: tuple[type[Exception], ...] = (),
) -> list[str]:
    """Does all parts that are not done; one that fails does not keep the others from being tried.

    Args:
        parts: In their order.
        progress: That of :func:`start_progress`.
        folder: Work folder, whose ``failures.log`` gets the traceback of what fails.
        after: Is called after each part that was done.
        fatal: Errors that end the work.

    Returns:
        A line for each part that failed.
    """
    found = []
    for key, part in zip(_costs(parts), parts, strict=True):
        if part.done:
            progress.skip(key, f'{part.title}: done before')
            continue
        progress.start(key, part.title)
        begin = time.monotonic()
        try:
            # A Runner leaves its default scope behind; each part finds that of this package.
            with DefaultScope.overwrite_default_scope('mim_plugin'):
                part.work()
            after()
        except fatal:
            raise
        except Exception as error:  # noqa: BLE001  hours of other parts are not thrown away for one that fails
            progress.say(f'{part.title} failed: {error}')
            with open(folder / FAILURES, 'a', encoding='utf-8') as file:
                file.write(f'{part.title}\n{traceback.format_exc()}\n')
            found.append(f'{part.title}: {error}')
            continue
        progress.finish()
        progress.say(f'{part.title}: done in {duration(time.monotonic() - begin)}', 0.0)
    return found


def raise_failures(found: Sequence[str], parts: Sequence[Part], folder: Path) -> None:
    """Raises a MIMError if :func:`do_parts` has found that a part fails."""
    if found:
        raise MIMError(
            f'{len(found)} of {len(parts)} parts failed; the same command tries them again. Details are in '
            f'{folder / FAILURES}. First: {found[0]}'
        )
