"""Ours against the stored value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from mim_plugin.testing.golden.case import Quantity

__all__ = ['Line', 'compare_fact', 'compare_quantity']


@dataclass
class Line:
    """Result for one quantity of one case.

    Attributes:
        case: Name of the case.
        quantity: Name of the output, or ``expected/<key>`` for a fact.
        max_abs_err: Largest absolute difference; None when there is nothing to compare.
        max_rel_err: Largest difference relative to the stored value.
        atol: Allowed absolute difference.
        rtol: Allowed difference relative to the stored value, added to ``atol``.
        ok: Whether it passed.
        note: Why it failed, when the numbers do not say.
    """

    case: str
    quantity: str
    max_abs_err: float | None
    max_rel_err: float | None
    atol: float | None
    rtol: float | None
    ok: bool
    note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Fields for JSON, without an empty note and without infinities."""
        fields = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }
        if fields['note'] is None:
            del fields['note']
        return fields


def compare_quantity(case: str, name: str, ours: Any, stored: Quantity) -> Line:
    """Compare a tensor. NaN equals NaN; two shapes with one element each are equal."""
    if ours is None:
        return Line(case, name, None, None, stored.atol, stored.rtol, False, 'not computed')
    ours = torch.as_tensor(ours).detach()
    reference = stored.value
    if ours.shape != reference.shape and not ours.numel() == reference.numel() == 1:
        note = f'shape {tuple(ours.shape)} instead of {tuple(reference.shape)}'
        return Line(case, name, None, None, stored.atol, stored.rtol, False, note)
    ours, reference = ours.reshape(reference.shape).double(), reference.double()
    if reference.numel() == 0:
        return Line(case, name, 0.0, 0.0, stored.atol, stored.rtol, True)
    # Equal infinities and pairs of NaN differ by nothing; what is left of NaN fails.
    same = (ours == reference) | (ours.isnan() & reference.isnan())
    error = torch.where(same, 0.0, (ours - reference).abs())
    ok = bool((error <= stored.atol + stored.rtol * reference.abs()).logical_or(same).all())
    relative = torch.where(same, 0.0, error / reference.abs().clamp(min=torch.finfo(torch.float64).tiny))
    return Line(case, name, _largest(error), _largest(relative), stored.atol, stored.rtol, ok)


def compare_fact(case: str, key: str, ours: Any, stored: Any) -> Line:
    """Compare an exact fact; numbers may differ by rounding (1e-9 of their value). The error counts mismatches.

    Args:
        case: Name of the case.
        key: Name of the fact.
        ours: Our value, or a rule that is asked about the stored one: whether it is right, or how much of it is not.
        stored: The stored value.
    """
    if ours is None and stored is not None:
        return Line(case, f'expected/{key}', 1.0, 1.0, 0.0, 0.0, False, 'not computed')
    if isinstance(ours, Callable):
        verdict = ours(stored)
        counted = isinstance(verdict, int) and not isinstance(verdict, bool)
        error = float(verdict if counted else not verdict)
    else:
        error = float(_mismatches(ours, stored))
    note = None if error == 0 else f'got {_short(ours)} instead of {_short(stored)}'
    return Line(case, f'expected/{key}', error, error, 0.0, 0.0, error == 0, note)


def _mismatches(ours: Any, stored: Any) -> int:
    """Number of entries that differ, of a dict or list; else 0 or 1."""
    if isinstance(stored, dict) and isinstance(ours, dict):
        both = ours.keys() & stored.keys()
        return sum(not _equal(ours[key], stored[key]) for key in both) + len(ours.keys() ^ stored.keys())
    if isinstance(stored, (list, tuple)) and isinstance(ours, (list, tuple)):
        return sum(not _equal(a, b) for a, b in zip(ours, stored)) + abs(len(ours) - len(stored))
    return int(not _equal(ours, stored))


def _equal(ours: Any, stored: Any) -> bool:
    if isinstance(stored, dict):
        return isinstance(ours, dict) and ours.keys() == stored.keys() and all(_equal(ours[k], stored[k]) for k in ours)
    if isinstance(stored, (list, tuple)):
        return (
            isinstance(ours, (list, tuple))
            and len(ours) == len(stored)
            and all(_equal(a, b) for a, b in zip(ours, stored))
        )
    if isinstance(stored, (int, float)) and isinstance(ours, (int, float)):
        return math.isclose(ours, stored, rel_tol=1e-9, abs_tol=1e-15) or (math.isnan(ours) and math.isnan(stored))
    return ours == stored


def _largest(error: Tensor) -> float:
    return math.inf if error.isnan().any() else float(error.max())


def _short(value: Any) -> str:
    text = 'a rule' if callable(value) else repr(value)
    return text if len(text) <= 200 else text[:200] + ' ...'
