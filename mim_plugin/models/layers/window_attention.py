"""Self-attention inside the windows of a map, and the Swin block made of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.models.layers.attention import MultiheadAttention
from mim_plugin.models.layers.block import FeedForward
from mim_plugin.models.layers.drop_path import DropPath
from mim_plugin.models.layers.relative_bias import aligned_position_bias
from mim_plugin.models.layers.tensor_cache import tensor_cache

__all__ = ['ShiftWindowAttention', 'SwinBlock', 'WindowAttention']

# Added to the logits of two cells that a shift has brought into one window.
_FAR = -100.0


@tensor_cache
def shift_patterns(window: int, shift: int, columns: int, device: torch.device) -> Tensor:
    """What is added to the logits in the four kinds of windows of a shifted map.

    After a shift, the last row of windows holds cells of both ends of the map, and so does the last
    column; such cells do not see each other. All other windows are whole.

    Args:
        window: Side of a window in cells.
        shift: Cells by which the map was rolled.
        columns: Width to which rows are filled up, at least ``window ** 2``.
        device: Where the result lies.

    Returns:
        ``(4, 1, window ** 2, columns)`` of 0 and -100: whole windows, last column, last row, corner.
    """
    side = (torch.arange(window, device='cpu') >= window - shift).long()
    none = torch.zeros_like(side)
    regions = [2 * rows[:, None] + cols for rows, cols in ((none, none), (none, side), (side, none), (side, side))]
    regions = torch.stack([region.flatten() for region in regions])
    patterns = torch.where(regions[:, None] == regions[:, :, None], 0.0, _FAR)
    return F.pad(patterns, (0, columns - window**2)).unsqueeze(1).to(device)


@tensor_cache
def window_kinds(rows: int, columns: int, device: torch.device) -> Tensor:
    """The pattern of each window of a map of ``rows`` x ``columns`` windows, int64 ``(rows * columns,)``."""
    kinds = torch.zeros(rows, columns, dtype=torch.int64, device='cpu')
    kinds[:, -1] += 1
    kinds[-1] += 2
    return kinds.flatten().to(device)


class WindowAttention(MultiheadAttention):
    """Self-attention of the cells of each window, with a learned bias for their relative position.

    Args:
        dims: Width ``D``.
        num_heads: Heads; they divide ``D``.
        window: Side of a window in cells.
        qkv_bias: See :class:`MultiheadAttention`.

    Source: Swin transformer (arXiv 2103.14030), section 3.2, equation 4.
    """

    def __init__(self, dims: int, num_heads: int, window: int, qkv_bias: str | None = 'qkv') -> None:
        super().__init__(dims, num_heads, qkv_bias, window=(window, window), num_prefix=0)

    def forward(self, x: Tensor, shift: int = 0, grid: tuple[int, int] = (1, 1)) -> Tensor:
        """Attend.

        Args:
            x: ``(B * n, T, D)``, the ``n`` windows of each image row by row, ``T`` cells each.
            shift: Cells by which the map was rolled.
            grid: Rows and columns of windows.

        Returns:
            ``(B * n, T, D)``.
        """
        query, key, value = self._project(x)
        bias = self.window_bias(shift, grid).to(query.dtype)
        # One tensor in the order of the batch is what fused kernels take; without a shift it costs no memory.
        bias = bias.expand(x.shape[0] // bias.shape[0], *bias.shape).flatten(0, 1) if shift else bias
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[..., : x.shape[1]])
        return self.proj(x.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, shift: int = 0, grid: tuple[int, int] = (1, 1)) -> Tensor:
        """The attention weights ``(B * n, heads, T, T)`` of :meth:`forward`; rows (queries) sum to one."""
        query, key, _ = self._project(x)
        logits = query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)
        bias = self.window_bias(shift, grid)[..., : x.shape[1]]
        return (logits.unflatten(0, (-1, len(bias))) + bias).flatten(0, 1).softmax(-1)

    def window_bias(self, shift: int, grid: tuple[int, int]) -> Tensor:
        """What is added to the logits, ``(1, heads, T, T')`` or with a shift ``(n, heads, T, T')``; ``T' >= T``."""
        bias = aligned_position_bias(self.relative_position_bias_table, self.window, num_prefix=0)
        if not shift:
            return bias
        patterns = shift_patterns(self.window[0], shift, bias.shape[-1], bias.device)
        return bias + patterns.index_select(0, window_kinds(*grid, bias.device))


class ShiftWindowAttention(nn.Module):
    """Attention inside the windows of a map that is rolled before and back after.

    A map that does not divide into windows is padded with zeros at the bottom and the right. Padded
    cells are keys like all others, as in the published iBOT code; what comes out of them is dropped.

    Args:
        dims: Width ``D``.
        num_heads: Heads; they divide ``D``.
        window: Side of a window in cells.
        shift: Cells by which the map is rolled up and to the left; 0 = not at all.
        qkv_bias: See :class:`MultiheadAttention`.
    """

    def __init__(self, dims: int, num_heads: int, window: int, shift: int = 0, qkv_bias: str | None = 'qkv') -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.w_msa = WindowAttention(dims, num_heads, window, qkv_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Transform a map ``(B, h, w, D)``."""
        windows, grid = self._to_windows(x)
        return self._to_map(self.w_msa(windows, self.shift, grid), grid, x.shape[1:3])

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights ``(B * n, heads, T, T)`` of the rolled map's windows, row by row in each image."""
        windows, grid = self._to_windows(x)
        return self.w_msa.weights(windows, self.shift, grid)

    def _to_windows(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        side = self.window
        bottom, right = -x.shape[1] % side, -x.shape[2] % side
        if bottom or right:
            x = F.pad(x, (0, 0, 0, right, 0, bottom))
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        grid = x.shape[1] // side, x.shape[2] // side
        x = x.reshape(x.shape[0], grid[0], side, grid[1], side, -1).transpose(2, 3)
        return x.reshape(-1, side**2, x.shape[-1]), grid

    def _to_map(self, windows: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
        side = self.window
        x = windows.reshape(-1, *grid, side, side, windows.shape[-1]).transpose(2, 3)
        x = x.reshape(-1, grid[0] * side, grid[1] * side, windows.shape[-1])
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x[:, : size[0], : size[1]]


class SwinBlock(nn.Module):
    """Window attention and feed-forward, each on a normed map and added to the stream.

    Args:
        dims: Width ``D``.
        num_heads: Attention heads.
        hidden_dims: Width of the feed-forward's hidden layer.
        window: Side of a window in cells.
        shift: Cells by which the map is rolled.
        drop_path_rate: Probability that a branch is left out for a sample while training.
        norm_eps: Epsilon of the layer norms.
        qkv_bias: See :class:`MultiheadAttention`.

    Source: Swin transformer (arXiv 2103.14030), section 3.2, equation 3.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        hidden_dims: int,
        window: int,
        shift: int = 0,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
        qkv_bias: str | None = 'qkv',
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=norm_eps)
        self.attn = ShiftWindowAttention(dims, num_heads, window, shift, qkv_bias)
        self.norm2 = nn.LayerNorm(dims, eps=norm_eps)
        self.ffn = FeedForward(dims, hidden_dims)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Transform a map ``(B, h, w, D)``."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.ffn(self.norm2(x)))

    def attention_weights(self, x: Tensor) -> Tensor:
        """The attention weights that :meth:`forward` uses, see :meth:`ShiftWindowAttention.weights`."""
        return self.attn.weights(self.norm1(x))
