"""The comparison from the first to the last part."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mmengine.registry import DefaultScope

from mim_plugin.apis.compare_methods import report
from mim_plugin.apis.compare_methods.arms import Bench, final, random_network, trials
from mim_plugin.apis.compare_methods.options import ARMS, CompareOptions
from mim_plugin.apis.compare_methods.results import Results
from mim_plugin.apis.compare_methods.scoring import baseline_rows
from mim_plugin.apis.compare_methods.training import BudgetError
from mim_plugin.apis.quickstart.layout import ClassFolders, detect_layout
from mim_plugin.apis.quickstart.progress import Progress, duration
from mim_plugin.datasets.files import find_images
from mim_plugin.errors import DataError, MIMError

__all__ = ['compare_methods']

FAILURES = 'failures.log'
OTHER_SECONDS = 15.0  # of a part besides its training, for the estimate of the time that is left


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


def compare_methods(options: CompareOptions) -> dict:
    """Trains and scores every arm, or what an earlier call with the same folder has left of it.

    Args:
        options: What the user chose.

    Returns:
        The content of ``summary.json``.

    Raises:
        MIMError: An option, the images or the time cannot work. An arm that fails does not keep the others from
            being trained; the error comes at the end.
    """
    data = Path(options.data).expanduser().resolve()
    classes = _labelled_folder(data)
    bench = Bench(options, classes, Results(options.work_dir, data))
    _check_count(bench)
    parts = {str(number): part for number, part in enumerate(_parts(bench))}
    costs = {key: part.seconds for key, part in parts.items()}
    bench.progress = Progress(costs, Path(options.work_dir) / 'compare.log')
    left = sum(part.seconds for part in parts.values() if not part.done)
    bench.progress.say(f'{options.plan}; about {duration(left)} are left')
    failures = [failure for key, part in parts.items() if (failure := _do(bench, key, part))]
    summary = report.write(bench)
    print('\n' + report.table(summary), flush=True)
    if failures:
        raise MIMError(
            f'{len(failures)} of {len(parts)} parts failed; the same command tries them again. Details are in '
            f'{Path(options.work_dir) / FAILURES}. First: {failures[0]}'
        )
    return summary


def _labelled_folder(data: Path) -> ClassFolders:
    classes = detect_layout(data).classes
    if classes is None:
        raise DataError(f'--data {data} has no class folders: give a folder with train/CLASS/* and val/CLASS/*.')
    for part in (classes.train, classes.val):
        for name in classes.names:
            if not (part / name).is_dir() or not find_images(str(part / name)):
                raise DataError(f'{part / name} holds no image: each class needs some in train and in val.')
    return classes


def _check_count(bench: Bench) -> None:
    count = len(find_images(str(bench.classes.train)))
    for arm in bench.options.trained:
        batch = bench.config(arm).train_dataloader.batch_size
        if count < batch:
            raise DataError(
                f'{bench.classes.train} holds {count} images, fewer than one batch of {batch}: add images, or give '
                f'--cfg-options train_dataloader.batch_size={count}.'
            )


def _parts(bench: Bench) -> list[Part]:
    """Everything to do: all arms with the first seed, then all with the next."""
    options, content = bench.options, bench.results.content
    baselines = partial(bench.results.once, content, 'baselines', lambda: baseline_rows(bench.images))
    parts = [Part('what needs no network', OTHER_SECONDS, 'baselines' in content, baselines)]
    for seed in range(options.seeds):
        for arm in options.arms:
            row, title = bench.row(arm), ARMS[arm].title
            seconds, work = OTHER_SECONDS, final
            if ARMS[arm].config is None:
                work = random_network
            else:
                seconds += options.setting.final_seconds
                if seed == 0:
                    cost = options.setting.seconds - options.setting.final_seconds
                    parts.append(Part(f'{title}: which lr?', cost, 'lr' in row, partial(trials, bench, arm)))
            done = str(seed) in row['finals']
            parts.append(Part(f'{title}, seed {seed}', seconds, done, partial(work, bench, arm, seed)))
    return parts


def _do(bench: Bench, key: str, part: Part) -> str | None:
    """Does a part unless it is done; returns what went wrong."""
    progress = bench.progress
    if part.done:
        progress.skip(key, f'{part.title}: done before')
        return None
    progress.start(key, part.title)
    begin = time.monotonic()
    try:
        # A Runner leaves its default scope behind; each part finds that of this package.
        with DefaultScope.overwrite_default_scope('mim_plugin'):
            part.work()
        report.write(bench)
    except BudgetError:
        raise
    except Exception as error:  # noqa: BLE001  hours of other arms are not thrown away for one that fails
        progress.say(f'{part.title} failed: {error}')
        with open(Path(bench.options.work_dir) / FAILURES, 'a', encoding='utf-8') as file:
            file.write(f'{part.title}\n{traceback.format_exc()}\n')
        return f'{part.title}: {error}'
    progress.finish()
    progress.say(f'{part.title}: done in {duration(time.monotonic() - begin)}', 0.0)
    return None
