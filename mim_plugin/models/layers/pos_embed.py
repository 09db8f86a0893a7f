"""Absolute position vectors: fixed ones, and any ones on another grid."""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.models.layers.symbolic_resize import symbolic_axis_matrices
from mim_plugin.models.layers.tensor_cache import tensor_cache

__all__ = ['RESIZE_RULES', 'no_autocast', 'resize_positions', 'sincos_positions']

RESIZE_RULES = ('size', 'ibot', 'bilinear')

Grid = tuple[int, int]


def resize_positions(positions: Tensor, source: Grid, target: Grid, rule: str = 'size', num_prefix: int = 1) -> Tensor:
    """Resize the position vectors of a grid of patches; those of prefix tokens are kept.

    Bicubic (cubic coefficient -0.75) or bilinear, border values repeated, no antialiasing, as in
    :func:`torch.nn.functional.interpolate`, written as two small matrix products: these
    have a deterministic gradient on every device, which the resize of torch has not.

    Args:
        positions: ``(1, num_prefix + h * w, D)``.
        source: Their grid ``(h, w)``.
        target: The wanted grid ``(h', w')``.
        rule: Where the target's cells lie on the source. 'size': both grids cover the image,
            factor ``target / source``. 'ibot': factor ``(target + 0.1) / source``, as in the published
            iBOT code. 'bilinear': as 'size', but bilinear, as BEiT segments (Table 7).
        num_prefix: Number of leading vectors that belong to no patch.

    Returns:
        ``(1, num_prefix + h' * w', D)``, of the input's type; the input itself when the grids are equal.
    """
    symbolic = any(isinstance(size, torch.SymInt) for size in target)  # a graph for images of any size is traced
    if not symbolic and tuple(source) == tuple(target):
        return positions
    patches = positions[0, num_prefix:].float().unflatten(0, source)
    if symbolic:
        rows, columns = symbolic_axis_matrices(source, target, rule, positions.device)
    else:
        rows, columns = (_axis_matrix(s, t, rule, positions.device) for s, t in zip(source, target))
    with no_autocast(positions.device):
        patches = rows @ patches.flatten(1)  # (h', w * D)
        patches = columns @ patches.unflatten(1, (source[1], -1))  # (h', w', D)
    patches = patches.flatten(0, 1).unsqueeze(0).to(positions.dtype)
    return torch.cat([positions[:, :num_prefix], patches], dim=1)


@tensor_cache
def _axis_matrix(source: int, target: int, rule: str, device: torch.device) -> Tensor:
    """Weights ``(target, source)`` of a resize along one axis."""
    cells = torch.eye(source, dtype=torch.float64, device='cpu')[None, :, :, None]
    if rule == 'ibot':
        size, factor = None, ((target + 0.1) / source, 1.0)
    elif rule in RESIZE_RULES:
        size, factor = (target, 1), None
    else:
        raise ConfigError(f'pos_interpolation={rule!r} is unknown; use one of {RESIZE_RULES}.')
    mode = 'bilinear' if rule == 'bilinear' else 'bicubic'
    weights = F.interpolate(cells, size, factor, mode=mode, align_corners=False)
    return weights[0, :, :, 0].t().float().contiguous().to(device)


def no_autocast(device: torch.device) -> torch.autocast | nullcontext:
    """A context in which products on a device have the type of their factors."""
    return torch.autocast(device.type, enabled=False) if device.type in ('cpu', 'cuda') else nullcontext()


@tensor_cache
def sincos_positions(num_patches: int, dims: int, device: torch.device) -> Tensor:
    """Fixed position vectors ``(1, 1 + num_patches, dims)``; that of [CLS] is zero.

    Patch ``p`` (counted row by row) and channel ``j`` have the angle
    ``p / 10000 ** (2 * (j // 2) / dims)``; even channels hold its sine, odd ones its cosine.

    Source: Attention is all you need (arXiv 1706.03762), section 3.5.
    """
    channel = torch.arange(dims, dtype=torch.float64, device='cpu')
    patch = torch.arange(num_patches, dtype=torch.float64, device='cpu')
    angles = patch[:, None] / 10000 ** (2 * (channel // 2) / dims)
    values = torch.where(channel % 2 == 0, angles.sin(), angles.cos())
    return F.pad(values, (0, 0, 1, 0)).unsqueeze(0).float().to(device)
