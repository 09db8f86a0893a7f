"""Resizing position vectors where the size of the image is not yet known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ['symbolic_axis_matrices']

_CUBIC = -0.75


def symbolic_axis_matrices(
    sources: Sequence[int], targets: Sequence[int | torch.SymInt], rule: str, device: torch.device
) -> list[Tensor]:
    """The matrices of :func:`mim_plugin.models.layers.resize_positions` in closed form.

    A graph for images of any size (``torch.export``, ONNX) has to make these from the size it meets, where the resize
    of torch would be asked for a map in double precision, which runtimes lack. When both targets are the sources,
    nothing is resized, whatever the rule: this too is decided in the graph.

    Args:
        sources: Rows and columns of the grid.
        targets: Those of the wanted grid.
        rule: 'size', 'ibot' or 'bilinear'.
        device: Where the results lie.

    Returns:
        Weights ``(target, source)`` for the rows and for the columns.
    """
    cells = [torch.arange(target, device=device) for target in targets]
    same = torch.stack([axis[-1] + 1 == source for axis, source in zip(cells, sources)]).all()
    return [
        torch.where(same, _unchanged(axis, source), _axis_matrix(axis, source, rule))
        for axis, source in zip(cells, sources)
    ]


def _unchanged(cells: Tensor, source: int) -> Tensor:
    return (cells[:, None] == torch.arange(source, device=cells.device)).float()


def _axis_matrix(cells: Tensor, source: int, rule: str) -> Tensor:
    target = (cells[-1:] + 1).double()
    step = 1 / ((target + 0.1) / source) if rule == 'ibot' else source / target
    at = step * (cells + 0.5) - 0.5
    if rule == 'bilinear':
        at = at.clamp(min=0)
    # Two cells more at each end, which stand for the border.
    places = torch.arange(-2, source + 2, device=cells.device)
    distances = (at[:, None] - places).abs()
    weights = (1 - distances).clamp(min=0) if rule == 'bilinear' else _cubic(distances)
    inside = places.clamp(0, source - 1)[:, None] == torch.arange(source, device=cells.device)
    return (weights @ inside.double()).float()


def _cubic(distances: Tensor) -> Tensor:
    """The kernel of cubic convolution."""
    near = ((_CUBIC + 2) * distances - (_CUBIC + 3)) * distances**2 + 1
    far = ((_CUBIC * distances - 5 * _CUBIC) * distances + 8 * _CUBIC) * distances - 4 * _CUBIC
    return torch.where(distances <= 1, near, torch.where(distances < 2, far, 0.0))
