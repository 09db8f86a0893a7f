"""Run cases and report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from mim_plugin.testing.golden.case import Answers, Case, find_cases, load_case
from mim_plugin.testing.golden.compare import Line, compare_fact, compare_quantity
from mim_plugin.testing.golden.handlers import HANDLERS, UnknownCase

__all__ = ['UnknownCase', 'run_case', 'verify']


def run_case(case: Case) -> list[Line]:
    """Compute and compare every quantity and fact of a case.

    Raises:
        UnknownCase: There is no handler for the kind, or for these settings of it.
    """
    if case.kind not in HANDLERS:
        raise UnknownCase(f'no handler for kind {case.kind!r}')
    torch.manual_seed(0)
    answers: Answers = HANDLERS[case.kind](case)
    # A case may name outputs that only a copy of its own draws of random numbers could give.
    optional = {name.removeprefix('outputs/') for name in case.settings.get('optional_outputs', ())}
    lines = [
        compare_quantity(case.name, name, answers.outputs.get(name), stored)
        for name, stored in case.outputs.items()
        if name in answers.outputs or name not in optional
    ]
    return lines + [compare_fact(case.name, key, answers.facts.get(key), value) for key, value in case.expected.items()]


def verify(paths: Iterable[str | Path], skip_unknown: bool = False, write: Callable[[str], None] = print) -> bool:
    """Check cases, writing one JSON object a quantity and a last line that counts cases.

    Args:
        paths: Case folders, or folders of cases.
        skip_unknown: Report a case that has no handler without counting it as failed.
        write: Takes each line.

    Returns:
        Whether no case failed.
    """
    passed = failed = 0
    for folder in find_cases(paths):
        lines, unknown = _lines_of(folder)
        for line in lines:
            write(json.dumps(line.as_dict()))
        if unknown and skip_unknown:
            continue
        ok = bool(lines) and all(line.ok for line in lines)
        passed, failed = passed + ok, failed + (not ok)
    write(f'{passed} passed, {failed} failed')
    return failed == 0


def _lines_of(folder: Path) -> tuple[list[Line], bool]:
    """Lines of a case, and whether it is unknown. A handler that breaks fails its own case only."""
    try:
        return run_case(load_case(folder)), False
    except UnknownCase as error:
        return [Line(folder.name, '*', None, None, None, None, False, f'unknown: {error}')], True
    except Exception as error:
        note = f'{type(error).__name__}: {error}'
        return [Line(folder.name, '*', None, None, None, None, False, note)], False
