"""The table and summary.json, written anew after every part."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from mmengine.device import get_device

from mim_plugin.apis.downstream_smoke.options import STARTS, TASKS
from mim_plugin.apis.long_commands.machine import describe_machine, package_versions, place
from mim_plugin.apis.long_commands.progress import duration
from mim_plugin.apis.long_commands.tables import markdown, spread

if TYPE_CHECKING:
    from mim_plugin.apis.downstream_smoke.job import Smoke

__all__ = ['table', 'write']

MAJORITY = 'majority class'


def write(smoke: Smoke) -> dict:
    """Writes ``table.md`` and ``summary.json`` of all that is finished.

    Args:
        smoke: What all parts share.

    Returns:
        The content of ``summary.json``.
    """
    content = smoke.results.content
    summary = {
        **content,
        'checkpoint': Path(smoke.options.checkpoint).parent.name,
        'four_images_classes': list(smoke.data.four.names) if smoke.data.four else [],
        'machine': describe_machine(get_device()),
        'versions': package_versions(),
    }
    (smoke.folder / 'summary.json').write_text(json.dumps(summary, indent=1), encoding='utf-8')
    (smoke.folder / 'table.md').write_text(table(summary) + '\n', encoding='utf-8')
    return summary


def table(summary: dict) -> str:
    """The tables in Markdown, with what they were measured on.

    Args:
        summary: Result of :func:`write`.
    """
    parts = [_trained(summary), _learnt_by_heart(summary), _note(summary)]
    return '\n\n'.join(part for part in parts if part)


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ''
    return markdown(header, rows, left=2)


def _all_runs(summary: dict, name: str) -> dict[str, list[dict]]:
    """Finished trainings of a task by start; starts without any are left out."""
    runs = summary['runs'].get(name, {})
    return {start: list(runs[start].values()) for start in STARTS if runs.get(start)}


def _trained(summary: dict) -> str:
    """Tasks of a fixed length: mean and deviation over the seeds."""
    header = ['task', 'figure, %', *STARTS.values(), MAJORITY, 'best without a network']
    header += ['steps', 'one training', 'seeds']
    rows = []
    for name, task in TASKS.items():
        runs = _all_runs(summary, name)
        if task.goal or not runs:
            continue
        every = [run for found in runs.values() for run in found]
        for key, label in task.figures.items():
            cells = [spread([run['metrics'][key] for run in runs[start]]) if start in runs else '' for start in STARTS]
            cells = [task.title, label, *cells, *_without_network(summary, task.data, key)]
            cells += [str(every[0]['iterations']), duration(mean(run['seconds'] for run in every))]
            rows.append([*cells, ', '.join(sorted({str(len(found)) for found in runs.values()}))])
    return _markdown(header, rows)


def _without_network(summary: dict, kind: str, key: str) -> list[str]:
    rows = {name: row[key] for name, row in summary['baselines'].get(kind, {}).items()}
    majority = rows.pop(MAJORITY, None)
    if majority is None or not rows:
        return ['', '']
    best = max(rows, key=rows.get)
    return [f'{majority:.1f}', f'{rows[best]:.1f} ({best})']


def _learnt_by_heart(summary: dict) -> str:
    """Detection: a row for each training."""
    header = ['detection of ' + ', '.join(summary['four_images_classes']), 'start']
    header += ['box AP, four images', 'mask AP, four images', 'goal', 'box AP, val', 'mask AP, val']
    header += ['steps', 'training']
    rows = []
    for name, task in TASKS.items():
        for start, runs in _all_runs(summary, name).items() if task.goal else ():
            for run in runs:
                cells = [task.title, STARTS[start], *(f'{run["metrics"][key]:.1f}' for key in task.figures)]
                cells.append(('over ' if run['reached'] else 'not over ') + f'{100 * max(task.goal.values()):.0f}')
                cells += [f'{run["validation"][key]:.1f}' for key in task.figures]
                rows.append([*cells, str(run['iterations']), duration(run['seconds'])])
    return _markdown(header, rows)


def _note(summary: dict) -> str:
    machine = summary['machine']
    return (
        f'Start: {summary["checkpoint"]}, or random weights; all else is the same. ± is the deviation between seeds. '
        'Figures are those of mmseg, mmpretrain and mmdet on the validation images; each checkpoint gave the same '
        f'figures when it was loaded again. Threads: {machine["threads"]}. Machine: {place(machine)}.'
    )
