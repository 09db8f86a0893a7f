"""The comparison from the first to the last part."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mim_plugin.apis.compare_methods import report
from mim_plugin.apis.compare_methods.arms import Bench, final, random_network, trials
from mim_plugin.apis.compare_methods.options import ARMS, CompareOptions
from mim_plugin.apis.compare_methods.results import Results
from mim_plugin.apis.compare_methods.scoring import baseline_rows
from mim_plugin.apis.compare_methods.training import BudgetError
from mim_plugin.apis.parts import Part, costs, do_parts, seconds_left
from mim_plugin.apis.quickstart.layout import ClassFolders, detect_layout
from mim_plugin.apis.quickstart.progress import Progress, duration
from mim_plugin.datasets.files import find_images
from mim_plugin.errors import DataError, MIMError

__all__ = ['compare_methods', 'labelled_folder']

FAILURES = 'failures.log'
OTHER_SECONDS = 15.0  # of a part besides its training, for the estimate of the time that is left


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
    classes = labelled_folder(data)
    bench = Bench(options, classes, Results(options.work_dir, data))
    _check_count(bench)
    parts, folder = _parts(bench), Path(options.work_dir)
    bench.progress = Progress(costs(parts), folder / 'compare.log')
    bench.progress.say(f'{options.plan}; about {duration(seconds_left(parts))} are left')
    after = partial(report.write, bench)
    failures = do_parts(parts, bench.progress, folder / FAILURES, after, fatal=(BudgetError,))
    summary = report.write(bench)
    print('\n' + report.table(summary), flush=True)
    if failures:
        raise MIMError(
            f'{len(failures)} of {len(parts)} parts failed; the same command tries them again. Details are in '
            f'{folder / FAILURES}. First: {failures[0]}'
        )
    return summary


def labelled_folder(data: Path) -> ClassFolders:
    """Class folders of a data folder, none of which is empty.

    Raises:
        DataError: There are none, or one holds no image.
    """
    classes = detect_layout(data).classes
    if classes is None:
        raise DataError(f'{data} has no class folders: give a folder with train/CLASS/* and val/CLASS/*.')
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
