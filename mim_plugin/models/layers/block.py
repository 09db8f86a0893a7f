"""Transformer blocks."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mim_plugin.models.layers.attention import MultiheadAttention
from mim_plugin.models.layers.drop_path import DropPath
from mim_plugin.models.layers.layer_scale import layer_scale

__all__ = ['FeedForward', 'TransformerBlock']


class FeedForward(nn.Module):
    """Two linear maps with an exact GELU between.

    Args:
        dims: Width ``D`` of a token.
        hidden_dims: Width between the maps.
        layer_scale_init: Start of the learned scale of the output; not positive = no scale.
    """

    def __init__(self, dims: int, hidden_dims: int, layer_scale_init: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(dims, hidden_dims), nn.GELU()),
            nn.Linear(hidden_dims, dims),
        )
        self.gamma2 = layer_scale(dims, layer_scale_init)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., D)``."""
        return self.gamma2(self.layers(x))


class TransformerBlock(nn.Module):
    """Attention and feed-forward, each on a normed input and added to the stream.

    Args:
        dims: Width ``D``.
        num_heads: Attention heads.
        hidden_dims: Width of the feed-forward's hidden layer.
        drop_path_rate: Probability that a branch is left out for a sample while training.
        norm_eps: Epsilon of the layer norms.
        layer_scale_init: Start of the learned scales of both branches; not positive = none.
        attention: Further options of :class:`MultiheadAttention`.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        hidden_dims: int,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
        layer_scale_init: float = 0.0,
        **attention: Any,
    ) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(dims, eps=norm_eps)
        self.attn = MultiheadAttention(dims, num_heads, layer_scale_init=layer_scale_init, **attention)
        self.ln2 = nn.LayerNorm(dims, eps=norm_eps)
        self.ffn = FeedForward(dims, hidden_dims, layer_scale_init)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, bias: Tensor | None = None, grid: tuple[int, int] | None = None) -> Tensor:
        """Transform ``(B, T, D)``; ``bias`` and ``grid`` as in :meth:`MultiheadAttention.forward`."""
        x = x + self.drop_path(self.attn(self.ln1(x), bias, grid))
        return x + self.drop_path(self.ffn(self.ln2(x)))

    def attention_weights(self, x: Tensor, bias: Tensor | None = None, grid: tuple[int, int] | None = None) -> Tensor:
        """The attention weights ``(B, heads, T, T)`` that :meth:`forward` uses."""
        return self.attn.weights(self.ln1(x), bias, grid)
