"""Cubic splines as matrices."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['spline_matrix']


def spline_matrix(points: Tensor, targets: Tensor) -> Tensor:
    """Weights that turn values at some points into values of the spline through them at others.

    A spline is linear in the values it goes through, so one matrix serves all of them: ``matrix @ values``. The
    spline is cubic with not-a-knot ends, as in FITPACK with smoothing 0; through fewer than four points goes a
    polynomial of the highest degree that they fix.

    Args:
        points: float64 ``(n,)``, increasing.
        targets: float64 ``(m,)``; what lies outside of the points takes the value at the nearer end.

    Returns:
        float64 ``(m, n)``; rows sum to one.
    """
    degree = min(3, len(points) - 1)
    inner = points[2:-2] if degree == 3 else points[:0]
    knots = torch.cat([points[:1].expand(degree + 1), inner, points[-1:].expand(degree + 1)])
    values = _basis(knots, degree, points)
    wanted = _basis(knots, degree, targets.clamp(points[0], points[-1]))
    return torch.linalg.solve(values.t(), wanted.t()).t()


def _basis(knots: Tensor, degree: int, at: Tensor) -> Tensor:
    """The B-splines of some knots, ``(len(at), len(knots) - degree - 1)``, by the recursion of Cox and de Boor."""
    # Intervals are half open; the last point belongs to the last interval that is not empty.
    last = len(knots) - degree - 2
    interval = (torch.searchsorted(knots, at, right=True) - 1).clamp(max=last)
    basis = F.one_hot(interval, len(knots) - 1).to(at.dtype)
    at = at[:, None]
    for order in range(1, degree + 1):
        widths = knots[order:] - knots[:-order]
        # Where knots coincide the function beside the fraction is zero, so any width will do.
        widths = torch.where(widths == 0, 1.0, widths)
        rising = (at - knots[: -order - 1]) / widths[:-1] * basis[:, :-1]
        falling = (knots[order + 1 :] - at) / widths[1:] * basis[:, 1:]
        basis = rising + falling
    return basis
