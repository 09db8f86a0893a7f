"""What becomes of trained features while a pretraining goes on: with heads of the file, with new ones, without care."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mim_plugin.apis.config_errors import read_config
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.long_commands.folders import labelled_folder
from mim_plugin.apis.long_commands.machine import describe_machine, package_versions, place
from mim_plugin.apis.long_commands.options import SHIPPED, check_device, check_names, check_start, find_configs
from mim_plugin.apis.long_commands.parts import Part, ResultFile, do_parts, raise_failures, start_progress
from mim_plugin.apis.long_commands.progress import Progress, ProgressHook
from mim_plugin.apis.long_commands.runs import build_quiet_runner, loader_processes, release, set_epochs
from mim_plugin.apis.long_commands.tables import markdown, spread
from mim_plugin.checkpoints import contents_of, read_checkpoint
from mim_plugin.datasets.files import find_images
from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.visualization.curves import draw_curves, read_scalars

__all__ = ['ARMS', 'ContinueOptions', 'continue_pretraining']

CONFIG = 'ibot_vit-mini-p16_1xb64-40e_custom.py'
FROM_SCRATCH = 'ibot_vit-mini-p16_1xb64-150e_mixed.py'  # the training of the start
POINTS = 40  # measurements of a run: two in the first 5 % of the steps
SECONDS = 4.5  # an epoch of 960 images with its measurements, on two CPU cores


@dataclass(frozen=True)
class Arm:
    """One way to go on.

    Attributes:
        title: Name in the table.
        heads: Whether the heads and centres of the file are used.
        careless: No warm-up of new heads, and the rate and the teacher of a training from scratch.
    """

    title: str
    heads: bool = False
    careless: bool = False


ARMS = {
    'heads': Arm('heads of the file', heads=True),
    'warmed': Arm('new heads, warmed up'),
    'careless': Arm('new heads, as a training from scratch', careless=True),
}


@dataclass(frozen=True)
class ContinueOptions:
    """Options of one call.

    Attributes:
        data: Folder with ``train/CLASS/*`` and ``val/CLASS/*``; all images are trained on without their labels, and
            all of them, each against the others, measure the features.
        work_dir: Everything that is written is inside; finished parts found there are not repeated.
        arms: Names from :data:`ARMS`.
        seeds: Trainings of each arm.
        epochs: Length of each.
        device: ``cpu``, ``cuda``, or None for what the machine has.
        checkpoint: The start, with heads.
    """

    data: Path
    work_dir: Path = Path('work_dirs/continue_pretraining')
    arms: Sequence[str] = tuple(ARMS)
    seeds: int = 3
    epochs: int = 40
    device: str | None = None
    checkpoint: Path = SHIPPED

    def __post_init__(self) -> None:
        """Check what can be checked without touching data.

        Raises:
            ConfigError: If a value cannot work.
            CheckpointError: The checkpoint is missing.
        """
        check_names('arms', self.arms, ARMS)
        if self.seeds < 1 or self.epochs < 2:
            raise ConfigError(f'--seeds {self.seeds} --epochs {self.epochs}: give at least one seed and two epochs.')
        check_start(self.checkpoint)
        check_device(self.device)


@dataclass
class _Bench:
    """What all parts share: options, all images and their number, starts by arm, results, lines for people."""

    options: ContinueOptions
    images: Path
    starts: Mapping[str, Path]
    size: int
    results: ResultFile
    progress: Progress | None = None

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return Path(self.options.work_dir)


def continue_pretraining(options: ContinueOptions) -> dict:
    """Trains every arm with every seed, or what an earlier call with the same folder has left of it.

    Args:
        options: What the user chose.

    Returns:
        The content of ``summary.json``.

    Raises:
        MIMError: An option or the data cannot work; or, at the end, parts that failed.
    """
    data, folder = Path(options.data).expanduser().resolve(), Path(options.work_dir)
    fixed = {'data': str(data), 'epochs': options.epochs, 'checkpoint': str(options.checkpoint)}
    results = ResultFile(folder / 'results.json', fixed)
    results.content.setdefault('runs', {})
    images = _link_all(data, folder / 'images')
    bench = _Bench(options, images, _starts(options, folder), len(find_images(str(images))), results)
    parts = _parts(bench)
    bench.progress = start_progress(parts, folder / 'continue.log', f'{len(parts)} trainings')
    failures = do_parts(parts, bench.progress, folder, partial(_write, bench))
    summary = _write(bench)
    print('\n' + summary['table'], flush=True)
    raise_failures(failures, parts, folder)
    return summary


def _link_all(data: Path, folder: Path) -> Path:
    """``folder/CLASS/{train,val}-IMAGE``: links to all images of a class, so that each can be compared with all."""
    classes = labelled_folder(data)
    for name in classes.names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for part in (classes.train, classes.val):
            for image in find_images(str(part / name)):
                link = folder / name / f'{part.name}-{image.replace("/", "-")}'
                if not link.exists():
                    link.symlink_to(part / name / image)
    return folder


def _starts(options: ContinueOptions, folder: Path) -> dict[str, Path]:
    """The file for every arm: the checkpoint, or its backbone alone."""
    network = contents_of(read_checkpoint(str(options.checkpoint))).teacher
    if not any(name.startswith('head.') for name in network):
        raise CheckpointError(f'{options.checkpoint} has no heads to compare new ones with: give a file that has them.')
    backbone = {name: v for name, v in network.items() if name.startswith('backbone.') and 'mask_token' not in name}
    torch.save(backbone, folder / 'backbone.pth')
    return {name: Path(options.checkpoint) if arm.heads else folder / 'backbone.pth' for name, arm in ARMS.items()}


def _parts(bench: _Bench) -> list[Part]:
    parts, runs = [], bench.results.content['runs']
    for seed in range(bench.options.seeds):
        for name in bench.options.arms:
            done = runs.setdefault(name, {})
            once = partial(bench.results.once, done, str(seed), partial(_train, bench, name, seed))
            seconds = SECONDS * bench.options.epochs * bench.size / 960
            parts.append(Part(f'{ARMS[name].title}, seed {seed}', seconds, str(seed) in done, once))
    return parts


def arm_config(bench: _Bench, arm: Arm, start: Path) -> Config:
    """The config of a training; arms differ in nothing but what their definition says."""
    cfg = read_config(str(find_configs('continued') / CONFIG))
    length = cfg.train_cfg.max_epochs
    set_epochs(cfg, bench.options.epochs)
    cfg.load_from = str(start)
    cfg.train_dataloader.dataset.data_root = str(bench.images)
    cfg.default_hooks.checkpoint.interval = -1
    hooks = {type_name(hook): hook for hook in cfg.custom_hooks}
    steps = bench.size // cfg.train_dataloader.batch_size * bench.options.epochs
    hooks['FeatureGuardHook'].update(stop=False, interval=max(1, steps // POINTS), baselines=False)
    loader = hooks['FeatureGuardHook'].bank_dataloader
    loader.update(num_workers=loader_processes(), persistent_workers=True)
    loader.dataset.update(data_root=str(bench.images), data_prefix='')
    warmup = hooks['HeadWarmupHook']
    for key in ('epochs', 'release_epochs'):
        warmup[key] *= bench.options.epochs / length
    if arm.careless:
        scratch = read_config(str(find_configs('quickstart') / FROM_SCRATCH))
        del hooks['HeadWarmupHook']
        hooks |= {type_name(hook): hook for hook in scratch.custom_hooks if type_name(hook) == 'MomentumTeacherHook'}
        cfg.optim_wrapper.optimizer.lr = scratch.optim_wrapper.optimizer.lr
    cfg.custom_hooks = list(hooks.values())
    return cfg


def _train(bench: _Bench, name: str, seed: int) -> dict:
    """One training; its curve of accuracies by the share of the steps done."""
    cfg = arm_config(bench, ARMS[name], bench.starts[name])
    progress = ProgressHook(bench.progress, f'{ARMS[name].title}, seed {seed}', {'loss': 'loss'})
    folder = bench.folder / 'runs' / f'{name}_seed{seed}'
    runner = build_quiet_runner(cfg, folder, seed, progress)
    try:
        runner.train()
        steps = runner.iter
    finally:
        release(runner)
    measured = zip(*read_scalars(folder)['frozen/knn/top1_k20'], strict=True)
    return {'steps': steps, 'curve': [[step / steps, round(accuracy, 3)] for step, accuracy in measured]}


def _write(bench: _Bench) -> dict:
    """Writes ``table.md``, ``curves.png`` and ``summary.json`` of all that is finished."""
    runs = {name: list(found.values()) for name, found in bench.results.content['runs'].items() if found}
    summary = {
        **{name: bench.results.content[name] for name in ('data', 'epochs', 'checkpoint')},
        'images': bench.size,
        'runs': runs,
        'machine': describe_machine(get_device()),
        'versions': package_versions(),
    }
    summary['table'] = _table(summary)
    (bench.folder / 'summary.json').write_text(json.dumps(summary, indent=1), encoding='utf-8')
    (bench.folder / 'table.md').write_text(summary['table'] + '\n', encoding='utf-8')
    if runs:
        curves = {ARMS[name].title: _mean_curve(found) for name, found in runs.items()}
        draw_curves({'k-NN, percent, mean of the seeds': curves}).savefig(bench.folder / 'curves.png')
    return summary


def _mean_curve(runs: Sequence[dict]) -> tuple[list[float], list[float]]:
    """Iterations and the mean accuracy of all seeds, which are measured at the same steps."""
    steps = [round(share * runs[0]['steps']) for share, _ in runs[0]['curve']]
    return steps, [mean(values) for values in zip(*([a for _, a in run['curve']] for run in runs), strict=True)]


def _table(summary: dict) -> str:
    header = ['going on with', 'start', 'lowest, first 5 %', 'lowest', 'highest', 'end', 'seeds']
    rows = []
    for name, runs in summary['runs'].items():
        curves = [run['curve'] for run in runs]
        early = [min(accuracy for share, accuracy in curve if share <= 0.05) for curve in curves]
        whole = [[accuracy for _, accuracy in curve] for curve in curves]
        start, end = ([curve[place] for curve in whole] for place in (0, -1))
        columns = (start, early, list(map(min, whole)), list(map(max, whole)), end)
        rows.append([ARMS[name].title, *map(spread, columns), str(len(runs))])
    starts = [run['curve'][0][1] for runs in summary['runs'].values() for run in runs]
    error = (mean(starts) * (100 - mean(starts)) / summary['images']) ** 0.5 if starts else 0.0
    note = (
        f'k-NN, 20 neighbours, each of {summary["images"]} images against all others, in percent; ± is the deviation '
        f'of the seeds, one standard error of the start from the number of images {error:.1f}. {summary["epochs"]} '
        f'epochs. Machine: {place(summary["machine"])}.'
    )
    return markdown(header, rows, left=1) + '\n\n' + note
