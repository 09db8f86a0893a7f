"""Multi-head self-attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.models.layers.layer_scale import layer_scale
from mim_plugin.models.layers.relative_bias import relative_bias_table, relative_position_bias
from mim_plugin.models.layers.relative_resize import resize_bias_table

__all__ = ['QKV_BIASES', 'MultiheadAttention']

Grid = tuple[int, int]

QKV_BIASES = ('qkv', 'qv', None)


class MultiheadAttention(nn.Module):
    """Self-attention with a fused projection to queries, keys and values.

    Args:
        dims: Width ``D``.
        num_heads: Heads; they divide ``D``.
        qkv_bias: 'qkv' = one bias for all three (``qkv.bias``), 'qv' = none for the keys
            (``q_bias`` and ``v_bias``, as BEiT), None = none at all.
        layer_scale_init: Start of the learned scale of the output; not positive = no scale.
        window: Grid ``(h, w)`` of an own table of relative position bias; None = no table.
        num_prefix: Number of tokens before the patches, for the table.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        qkv_bias: str | None = 'qkv',
        layer_scale_init: float = 0.0,
        window: Grid | None = None,
        num_prefix: int = 1,
    ) -> None:
        super().__init__()
        if dims % num_heads:
            raise ConfigError(f'embed_dims={dims} is no multiple of num_heads={num_heads}; change one in `arch`.')
        if qkv_bias not in QKV_BIASES:
            raise ConfigError(f'qkv_bias={qkv_bias!r} is unknown; use one of {QKV_BIASES}.')
        self.num_heads = num_heads
        self.window = window
        self.num_prefix = num_prefix
        self.qkv = nn.Linear(dims, 3 * dims, bias=qkv_bias == 'qkv')
        if qkv_bias == 'qv':
            self.q_bias = nn.Parameter(torch.zeros(dims))
            self.v_bias = nn.Parameter(torch.zeros(dims))
        else:
            self.q_bias = self.v_bias = None
        self.relative_position_bias_table = None
        if window is not None:
            self.relative_position_bias_table = relative_bias_table(window, num_heads, num_prefix)
        self.proj = nn.Linear(dims, dims)
        self.gamma1 = layer_scale(dims, layer_scale_init)

    def forward(self, x: Tensor, bias: Tensor | None = None, grid: Grid | None = None) -> Tensor:
        """Attend.

        Args:
            x: ``(B, T, D)``.
            bias: ``(1, heads, T, T)`` added to the logits, beside that of the own table.
            grid: Grid of the patches, for which the own table is resized; None = that of the table.

        Returns:
            ``(B, T, D)``.
        """
        query, key, value = self._project(x)
        bias = self._total_bias(bias, grid)
        if bias is not None:
            bias = bias.to(query.dtype)
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.gamma1(self.proj(x.transpose(1, 2).flatten(2)))

    def weights(self, x: Tensor, bias: Tensor | None = None, grid: Grid | None = None) -> Tensor:
        """The attention weights ``(B, heads, T, T)`` of :meth:`forward`; rows (queries) sum to one."""
        query, key, _ = self._project(x)
        logits = query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)
        bias = self._total_bias(bias, grid)
        if bias is not None:
            logits = logits + bias
        return logits.softmax(-1)

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, ``(B, heads, T, D / heads)`` each."""
        bias = self.qkv.bias
        if self.q_bias is not None:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.num_heads, -1))
        return qkv.transpose(1, 3).unbind(2)

    def _total_bias(self, shared: Tensor | None, grid: Grid | None = None) -> Tensor | None:
        if self.relative_position_bias_table is None:
            return shared
        grid = grid or self.window
        table = resize_bias_table(self.relative_position_bias_table, self.window, grid)
        own = relative_position_bias(table, grid, self.num_prefix)
        return own if shared is None else own + shared
