"""The table, the figure and summary.json, written anew after every part."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from mmengine.device import get_device

from mim_plugin.apis.compare_methods.options import ARMS, LEARNING_RATES
from mim_plugin.apis.compare_methods.scoring import POOLINGS
from mim_plugin.apis.long_commands.machine import describe_machine, package_versions, place
from mim_plugin.apis.long_commands.progress import duration
from mim_plugin.apis.long_commands.tables import markdown, spread
from mim_plugin.visualization.comparison import draw_comparison

if TYPE_CHECKING:
    from mim_plugin.apis.compare_methods.arms import Bench

__all__ = ['table', 'write']

PROTOCOLS = {'knn': 'k-NN', 'linear': 'all labels'}
TITLES = {'knn': 'k-NN, 20 neighbours', 'linear': 'logistic regression, all labels'}


def write(bench: Bench) -> dict:
    """Writes ``table.md``, ``comparison.png`` and ``summary.json`` of all that is finished.

    Args:
        bench: What all arms share.

    Returns:
        The content of ``summary.json``.
    """
    folder, images = Path(bench.options.work_dir), bench.images
    baselines = bench.results.content.get('baselines', [])
    summary = {
        'data': bench.results.content['data'],
        'images': {'train': len(images.train), 'test': len(images.test), 'classes': len(images.names)},
        'learning_rates': LEARNING_RATES,
        'baselines': baselines,
        'rows': [_summarise(row) for row in _ordered(bench.results.rows)],
        'machine': describe_machine(get_device()),
        'versions': package_versions(),
    }
    (folder / 'summary.json').write_text(json.dumps(summary, indent=1), encoding='utf-8')
    (folder / 'table.md').write_text(table(summary) + '\n', encoding='utf-8')
    if summary['rows']:
        _figure(summary).savefig(folder / 'comparison.png')
    return summary


def _ordered(rows: Sequence[dict]) -> list[dict]:
    """By setting as they came, then in the order of the arms."""
    settings = [row['setting']['label'] for row in rows]
    arms = list(ARMS)
    return sorted(rows, key=lambda row: (settings.index(row['setting']['label']), arms.index(row['arm'])))


def _summarise(row: dict) -> dict:
    """Everything of a row, with its single figures gathered under the names of the table."""
    finals, arm = list(row['finals'].values()), ARMS[row['arm']]
    seconds = [found['seconds'] for found in finals]
    memory = [found['memory_mb'] for found in finals if found.get('memory_mb')]
    return {
        'name': arm.title,
        'pooling': arm.pooling,
        'accuracy': {
            pooling: {key: [found['scores'][pooling][key]['accuracy'] for found in finals] for key in PROTOCOLS}
            for pooling in POOLINGS
        },
        'mean_seconds': round(mean(seconds), 1),
        'mean_images': round(mean(found['images'] for found in finals)),
        'peak_memory_mb': max(memory, default=None),
        'tuning_seconds': round(sum(trial.get('seconds', 0.0) for trial in row['trials'].values()), 1),
        **row,
    }


def table(summary: dict) -> str:
    """The table in Markdown, with what it was measured on.

    Args:
        summary: Result of :func:`write`.
    """
    several = len({row['setting']['label'] for row in summary['rows'] if row['setting']['seconds']}) > 1
    setting = ['setting'] if several else []
    header = ['features', *setting, *(f'{name}, %' for name in PROTOCOLS.values())]
    header += ['other pooling', 'lr', 'training', 'images seen', 'peak memory', 'seeds']
    lines = []
    for row in summary['baselines']:
        cells = [f'{row[key]["accuracy"]:.1f}' for key in PROTOCOLS]
        lines.append([row['name'], *[''] * len(setting), *cells, *[''] * 6])
    lines += [_cells(row, several) for row in summary['rows']]
    return markdown(header, lines, left=1 + len(setting)) + '\n\n' + _note(summary)


def _cells(row: dict, several: bool) -> list[str]:
    other = POOLINGS[1 - POOLINGS.index(row['pooling'])]
    accuracy = row['accuracy'][row['pooling']]
    cells = [row['name'], *([row['setting']['label']] if several else [])]
    cells += [spread(accuracy[key]) for key in PROTOCOLS]
    cells += [spread(row['accuracy'][other]['knn']), f'{row["lr"]:g}' if 'lr' in row else '']
    trained = row['mean_images'] > 0
    cells += [duration(row['mean_seconds']) if trained else '', f'{row["mean_images"]:,}' if trained else '']
    cells += [f'{row["peak_memory_mb"]} MB' if row['peak_memory_mb'] else '', str(len(row['finals']))]
    return cells


def _note(summary: dict) -> str:
    images = summary['images']
    rates = ', '.join(f'{lr:g}' for lr in summary['learning_rates'])
    error = 100 * math.sqrt(0.25 / images['test'])
    return (
        f'{images["train"]} training and {images["test"]} test images, {images["classes"]} classes; ± is the deviation '
        f'between seeds, and one standard error of a figure from the number of test images is at most {error:.1f} '
        'points. Features: [CLS] of the teacher (iBOT, DINO), else the mean of the patch tokens; "other pooling" is '
        f'the k-NN figure of the other. lr: the best of {rates} by the training images alone, in equal time for all. '
        f"Training: one run with that lr, its tokenizer's training included. Peak memory: of the training process, "
        f'libraries included. Machine: {place(summary["machine"])}.'
    )


def _figure(summary: dict):
    names = [row['name'] for row in summary['rows']]
    rows = {}
    for row in summary['rows']:
        repeated = names.count(row['name']) > 1
        rows[f'{row["name"]}\n({row["setting"]["label"]})' if repeated else row['name']] = row
    panels, baselines = {}, {}
    for key, title in TITLES.items():
        panels[title] = {name: row['accuracy'][row['pooling']][key] for name, row in rows.items()}
        baselines[title] = {row['name']: row[key]['accuracy'] for row in summary['baselines']}
    images = summary['images']
    title = f'Frozen features, {images["train"]} training and {images["test"]} test images, {images["classes"]} classes'
    return draw_comparison(panels, baselines, title)
