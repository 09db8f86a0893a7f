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
from mim_plugin.apis.long_commands.folders import labelled_folder
from mim_plugin.apis.long_commands.parts import Part, do_parts, raise_failures, start_progress
from mim_plugin.datasets.files import find_images
from mim_plugin.errors import DataError

__all__ = ['compare_methods']

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
    bench.progress = start_progress(parts, folder / 'compare.log', options.plan)
    failures = do_parts(parts, bench.progress, folder, partial(report.write, bench), fatal=(BudgetError,))
    summary = report.write(bench)
    print('\n' + report.table(summary), flush=True)
    raise_failures(failures, parts, folder)
    return summary


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
