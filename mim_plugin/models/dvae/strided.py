"""The discrete autoencoder that BEiT's code ships as its "customized" tokenizer.

Names of parameters are those of its published file.

Source: the published code of BEiT (arXiv 2106.08254).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mim_plugin.registry import MODELS

__all__ = ['StridedDVAE']


class ResidualBlock(nn.Module):
    """Three convolutions of one width beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        return x + self.net(x)


def _tower(conv: type[nn.Module], in_channels: int, width: int, layers: int, out_channels: int) -> nn.Sequential:
    """Convolutions that change the resolution by 2, each with a residual block, then one of 1 x 1."""
    parts = []
    for i in range(layers):
        resize = conv(in_channels if i == 0 else width, width, 4, stride=2, padding=1)
        parts += [nn.Sequential(resize, nn.ReLU()), ResidualBlock(width)]
    return nn.Sequential(*parts, nn.Conv2d(width, out_channels, 1))


@MODELS.register_module()
class StridedDVAE(nn.Module):
    """Strided convolutions and residual blocks around a book of code vectors.

    Args:
        vocabulary_size: Number K of codes.
        codebook_dim: Length of a code's vector.
        num_layers: Halvings of the resolution: a code stands for ``2 ** num_layers`` pixels squared.
        hidden_dim: Width of all layers.
        out_channels: Numbers a pixel that the decoder gives: 3 colours, or 6 for means and log-scales.
    """

    kind = 'an autoencoder of strided convolutions'

    def __init__(
        self,
        vocabulary_size: int = 8192,
        codebook_dim: int = 512,
        num_layers: int = 3,
        hidden_dim: int = 256,
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        self.sizes = dict(
            vocabulary_size=vocabulary_size,
            codebook_dim=codebook_dim,
            num_layers=num_layers,
            hidden_dim=hidden_dim,
            out_channels=out_channels,
        )
        self.vocabulary_size = vocabulary_size
        self.out_channels = out_channels
        self.downsampling = 2**num_layers
        self.codebook = nn.Embedding(vocabulary_size, codebook_dim)
        self.encoder = _tower(nn.Conv2d, 3, hidden_dim, num_layers, vocabulary_size)
        self.decoder = _tower(nn.ConvTranspose2d, codebook_dim, hidden_dim, num_layers, out_channels)

    def encode(self, pixels: Tensor) -> Tensor:
        """Scores ``(B, K, h, w)`` of pixels ``(B, 3, H, W)``."""
        return self.encoder(pixels)

    def decode(self, weights: Tensor) -> Tensor:
        """Parameters of the pixels' law, ``(B, out_channels, H, W)``, of weights ``(B, K, h, w)`` of the codes."""
        return self.decoder(torch.einsum('bkhw,kd->bdhw', weights, self.codebook.weight))

    @staticmethod
    def sizes_in(state: Mapping[str, Tensor]) -> dict[str, int] | None:
        """Arguments of the network that a state dict belongs to; None where it belongs to none."""
        layers = sum(re.fullmatch(r'encoder\.\d+\.0\.weight', name) is not None for name in state)
        book, first, last = (
            state.get(name) for name in ('codebook.weight', 'encoder.0.0.weight', f'decoder.{2 * layers}.bias')
        )
        if book is None or first is None or last is None or book.ndim != 2:
            return None
        return dict(
            vocabulary_size=book.shape[0],
            codebook_dim=book.shape[1],
            num_layers=layers,
            hidden_dim=first.shape[0],
            out_channels=last.shape[0],
        )
