"""The smoke runs from the first to the last part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mmengine.device import get_device

from mim_plugin.apis.downstream_smoke import pictures, report
from mim_plugin.apis.downstream_smoke.baselines import class_baselines, scene_baselines
from mim_plugin.apis.downstream_smoke.data import SmokeData, read_data
from mim_plugin.apis.downstream_smoke.detection import train_detector
from mim_plugin.apis.downstream_smoke.options import STARTS, TASKS, SmokeOptions, Task
from mim_plugin.apis.downstream_smoke.training import train
from mim_plugin.apis.long_commands.parts import Part, ResultFile, do_parts, raise_failures, start_progress
from mim_plugin.apis.long_commands.progress import Progress

__all__ = ['Smoke', 'downstream_smoke']


@dataclass
class Smoke:
    """What all parts share.

    Attributes:
        options: What the user chose.
        data: The images.
        results: What finished parts found: ``baselines`` by kind of data, ``runs`` by task, start and seed.
        progress: Lines for people, set when the parts are known.
    """

    options: SmokeOptions
    data: SmokeData
    results: ResultFile
    progress: Progress | None = None

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return Path(self.options.work_dir)

    @staticmethod
    def task(name: str) -> Task:
        """The task of a name."""
        return TASKS[name]

    def run_folder(self, name: str, start: str, seed: int) -> Path:
        """Work folder of a training."""
        return self.folder / 'runs' / f'{name}_{start}_seed{seed}'

    def runs(self, name: str, start: str) -> dict[str, dict]:
        """Finished trainings of a task by seed."""
        return self.results.content['runs'].setdefault(name, {}).setdefault(start, {})


def downstream_smoke(options: SmokeOptions) -> dict:
    """Trains every task from both starts, or what an earlier call with the same folder has left of it.

    Args:
        options: What the user chose.

    Returns:
        The content of ``summary.json``.

    Raises:
        MIMError: An option or the data cannot work. A part that fails does not keep the others from being done;
            the error comes at the end.
    """
    root, folder = Path(options.data).expanduser().resolve(), Path(options.work_dir)
    data = read_data(root, options.tasks, folder)
    smoke = Smoke(options, data, _results(options, root))
    parts = _parts(smoke)
    smoke.progress = start_progress(parts, folder / 'smoke.log', f'{len(parts)} parts')
    failures = do_parts(parts, smoke.progress, folder, partial(report.write, smoke))
    pictures.write(smoke)
    summary = report.write(smoke)
    print('\n' + report.table(summary), flush=True)
    raise_failures(failures, parts, folder)
    return summary


def _results(options: SmokeOptions, root: Path) -> ResultFile:
    found = ResultFile(Path(options.work_dir) / 'results.json', {'data': str(root), 'iterations': options.iterations})
    for part in ('baselines', 'runs'):
        found.content.setdefault(part, {})
    return found


def _parts(smoke: Smoke) -> list[Part]:
    """Everything to do: all tasks with the first seed, then all with the next."""
    options, results = smoke.options, smoke.results
    baselines, parts = results.content['baselines'], []
    for kind, work in (('seg', scene_baselines), ('imagenet_like', class_baselines)):
        if any(TASKS[name].data == kind for name in options.tasks):
            once = partial(results.once, baselines, kind, partial(work, smoke))
            parts.append(Part(f'{kind}: what needs no network', 15.0, kind in baselines, once))
    for seed in range(options.seeds):
        for name in options.tasks:
            if name == 'detection' and seed > 0 and get_device() == 'cpu':
                continue  # minutes each: one seed shows that it learns
            for start in STARTS:
                done = smoke.runs(name, start)
                work = partial(train_detector if name == 'detection' else train, smoke, name, start, seed)
                title = f'{TASKS[name].title}, {STARTS[start]}, seed {seed}'
                once = partial(results.once, done, str(seed), work)
                parts.append(Part(title, TASKS[name].seconds, str(seed) in done, once))
    return parts
