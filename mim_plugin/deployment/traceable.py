"""Copies of networks that a tracer can follow."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from mim_plugin.models.backbones import MIMSwinTransformer, MIMVisionTransformer
from mim_plugin.models.layers import RelativePositionBias
from mim_plugin.models.layers.attention import MultiheadAttention
from mim_plugin.models.layers.relative_resize import resize_bias_table
from mim_plugin.models.layers.window_attention import WindowAttention

__all__ = ['fix_size', 'fixed_size_reason', 'traceable_copy']


def traceable_copy(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode, without gradients, with layers that mean the same and can be traced for any size."""
    module = copy.deepcopy(module).eval().requires_grad_(False)
    _replace_layers(module)
    return revert_sync_batchnorm(module)


def fixed_size_reason(backbone: nn.Module) -> str | None:
    """Why a graph of a backbone is for one size of images; None if it need not be."""
    if isinstance(backbone, MIMSwinTransformer):
        return 'MIMSwinTransformer cuts maps into windows, whose number is fixed in a graph'
    if isinstance(backbone, MIMVisionTransformer):
        if any(module.relative_position_bias_table is not None for module in _table_holders(backbone)):
            return 'the backbone has tables of relative position bias, which are made for one size'
        return None
    return f'the backbone {type(backbone).__name__} is not one of this package'


@torch.no_grad()
def fix_size(backbone: nn.Module, height: int, width: int) -> None:
    """Resize positions and tables for one size of images, in place: no resize is left for the graph."""
    if not isinstance(backbone, MIMVisionTransformer):
        return
    grid = backbone.grid_size(height, width)
    positions = backbone.positions(grid)
    if positions is not None:
        backbone.pos_embed, backbone.fixed_positions = nn.Parameter(positions.clone(), requires_grad=False), False
    for module in _table_holders(backbone):
        table = module.relative_position_bias_table
        if table is not None:
            resized = resize_bias_table(table, module.window, grid)
            module.relative_position_bias_table = nn.Parameter(resized.clone(), requires_grad=False)
            module.window = grid
    backbone.train_grid = grid


def _table_holders(backbone: nn.Module) -> list[nn.Module]:
    kinds = (RelativePositionBias, MultiheadAttention)
    return [m for m in backbone.modules() if isinstance(m, kinds) and not isinstance(m, WindowAttention)]


class _AveragePool(nn.Module):
    """:class:`torch.nn.AdaptiveAvgPool2d` as two products, for maps of any size.

    Runtimes know this pooling only where the size divides.
    """

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)

    def forward(self, x: Tensor) -> Tensor:
        if self.output_size == (1, 1):
            return x.mean((2, 3), keepdim=True)
        rows, columns = (self._matrix(size, n, x) for size, n in zip(self.output_size, x.shape[2:]))
        return rows @ x @ columns.t()

    @staticmethod
    def _matrix(size: int, length: int, like: Tensor) -> Tensor:
        """Weights ``(size, length)``; the cells of a row of the result are whole ones, and may overlap."""
        number = torch.arange(size, device=like.device)[:, None]
        first, end = number * length // size, ((number + 1) * length + size - 1) // size
        cell = torch.arange(length, device=like.device)
        inside = (cell >= first) & (cell < end)
        return inside.to(like.dtype) / (end - first)


class _Enlarge(nn.Module):
    """A resize by a whole factor, of which a tracer knows the size."""

    def __init__(self, factor: int, mode: str, align_corners: bool | None) -> None:
        super().__init__()
        self.factor, self.mode, self.align_corners = factor, mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [side * self.factor for side in x.shape[2:]]
        return F.interpolate(x, size, mode=self.mode, align_corners=self.align_corners)


def _replace_layers(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.AdaptiveAvgPool2d:
            setattr(module, name, _AveragePool(child.output_size))
        elif type(child).__name__ == 'Upsample' and _whole_factor(child):  # torch's or mmseg's
            setattr(module, name, _Enlarge(int(child.scale_factor), child.mode, child.align_corners))
        else:
            _replace_layers(child)


def _whole_factor(layer: nn.Module) -> bool:
    factor = getattr(layer, 'scale_factor', None)
    return isinstance(factor, (int, float)) and float(factor).is_integer() and not layer.size
