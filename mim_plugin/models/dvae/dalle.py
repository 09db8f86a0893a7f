"""The discrete autoencoder of DALL-E, whose codes BEiT predicts.

Names of parameters are those of the published ``encoder.pkl`` and ``decoder.pkl``.

Source: Zero-shot text-to-image generation (arXiv 2102.12092), appendix A.2, and its published package.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.registry import MODELS

__all__ = ['DALLEDVAE', 'DALLEDecoder', 'DALLEEncoder']

GROUPS = 4
_ENCODER_KERNELS = (3, 3, 3, 1)
_DECODER_KERNELS = (1, 3, 3, 3)


class Conv(nn.Module):
    """A convolution of stride 1 that keeps the size, with the published names ``w`` and ``b``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.b = nn.Parameter(torch.zeros(out_channels))
        self.padding = (kernel_size - 1) // 2
        nn.init.normal_(self.w, std=(in_channels * kernel_size**2) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in, H, W)`` to ``(B, out, H, W)``."""
        return F.conv2d(x, self.w, self.b, padding=self.padding)


class ResidualBlock(nn.Module):
    """Four convolutions beside the identity (or a 1 x 1 convolution where the width changes).

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output; a quarter of it is the width between.
        kernels: Sizes of the four convolutions.
        gain: Factor of the four convolutions' branch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernels: tuple[int, ...], gain: float) -> None:
        super().__init__()
        hidden = out_channels // 4
        widths = (in_channels, hidden, hidden, hidden, out_channels)
        self.gain = gain
        self.id_path = nn.Identity() if in_channels == out_channels else Conv(in_channels, out_channels, 1)
        self.res_path = nn.Sequential()
        for i, kernel in enumerate(kernels):
            self.res_path.add_module(f'relu_{i + 1}', nn.ReLU())
            self.res_path.add_module(f'conv_{i + 1}', Conv(widths[i], widths[i + 1], kernel))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in, H, W)`` to ``(B, out, H, W)``."""
        return self.id_path(x) + self.gain * self.res_path(x)


def _tower(
    first: Conv, widths: list[int], blocks: int, kernels: tuple[int, ...], resize: nn.Module, out_channels: int
) -> nn.Sequential:
    """``input``, four groups (all but the last change the resolution), ``output``."""
    # The branches start small, so that the signal keeps its variance through all blocks.
    gain = (GROUPS * blocks) ** -2
    tower, width = OrderedDict(input=first), first.w.shape[0]
    for number, group_width in enumerate(widths, 1):
        group = OrderedDict()
        for block in range(1, blocks + 1):
            group[f'block_{block}'] = ResidualBlock(width, group_width, kernels, gain)
            width = group_width
        if number < GROUPS:
            group['resize'] = resize
        tower[f'group_{number}'] = nn.Sequential(group)
    tower['output'] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=Conv(width, out_channels, 1)))
    return nn.Sequential(tower)


def _sizes(state: Mapping[str, Tensor], first_kernel: int) -> tuple[Tensor, Tensor, int] | None:
    """First and last convolution and blocks a group, or None where the tower is another one."""
    first, last = state.get('blocks.input.w'), state.get('blocks.output.conv.w')
    if first is None or last is None or first.ndim != 4 or first.shape[-1] != first_kernel:
        return None
    blocks = {match[1] for name in state if (match := re.match(r'blocks\.group_1\.(block_\d+)\.', name))}
    return first, last, len(blocks)


class DALLEEncoder(nn.Module):
    """Pixels to the scores of codes, one for 8 x 8 pixels; in float32 always.

    Args:
        vocabulary_size: Number K of codes.
        hidden_dim: Width of the first group; the others are 2, 4 and 8 times as wide.
        blocks_per_group: Residual blocks of each of the four groups.
    """

    kind = "DALL-E's encoder"

    def __init__(self, vocabulary_size: int = 8192, hidden_dim: int = 256, blocks_per_group: int = 2) -> None:
        super().__init__()
        self.sizes = dict(vocabulary_size=vocabulary_size, hidden_dim=hidden_dim, blocks_per_group=blocks_per_group)
        widths = [hidden_dim * 2**group for group in range(GROUPS)]
        first = Conv(3, hidden_dim, 7)
        self.blocks = _tower(first, widths, blocks_per_group, _ENCODER_KERNELS, nn.MaxPool2d(2), vocabulary_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores ``(B, K, H/8, W/8)`` of pixels ``(B, 3, H, W)`` that went through ``map_pixels``."""
        with torch.autocast(pixels.device.type, enabled=False):
            return self.blocks(pixels.float())

    @staticmethod
    def sizes_in(state: Mapping[str, Tensor]) -> dict[str, int] | None:
        """Arguments of the encoder that a state dict belongs to; None where it belongs to none."""
        if (found := _sizes(state, first_kernel=7)) is None:
            return None
        first, last, blocks = found
        return dict(vocabulary_size=last.shape[0], hidden_dim=first.shape[0], blocks_per_group=blocks)


class DALLEDecoder(nn.Module):
    """Codes to pixels, 8 x 8 from one code; in float32 always.

    Args:
        vocabulary_size: Number K of codes.
        hidden_dim: Width of the last group; the others are 8, 4 and 2 times as wide.
        blocks_per_group: Residual blocks of each of the four groups.
        init_dim: Width of what a code is mapped to first.
    """

    kind = "DALL-E's decoder"

    def __init__(
        self, vocabulary_size: int = 8192, hidden_dim: int = 256, blocks_per_group: int = 2, init_dim: int = 128
    ) -> None:
        super().__init__()
        self.sizes = dict(
            vocabulary_size=vocabulary_size, hidden_dim=hidden_dim, blocks_per_group=blocks_per_group, init_dim=init_dim
        )
        widths = [hidden_dim * 2**group for group in reversed(range(GROUPS))]
        first = Conv(vocabulary_size, init_dim, 1)
        self.blocks = _tower(first, widths, blocks_per_group, _DECODER_KERNELS, nn.Upsample(scale_factor=2), 6)

    def forward(self, weights: Tensor) -> Tensor:
        """Means and log-scales of a logit-Laplace law, ``(B, 6, 8h, 8w)``, of weights ``(B, K, h, w)`` of the codes."""
        with torch.autocast(weights.device.type, enabled=False):
            return self.blocks(weights.float())

    @staticmethod
    def sizes_in(state: Mapping[str, Tensor]) -> dict[str, int] | None:
        """Arguments of the decoder that a state dict belongs to; None where it belongs to none."""
        if (found := _sizes(state, first_kernel=1)) is None:
            return None
        first, last, blocks = found
        return dict(
            vocabulary_size=first.shape[1], hidden_dim=last.shape[1], blocks_per_group=blocks, init_dim=first.shape[0]
        )


@MODELS.register_module()
class DALLEDVAE(nn.Module):
    """Encoder and decoder of DALL-E, to be trained from scratch by ``DiscreteVAE``.

    Args:
        vocabulary_size: Number K of codes.
        hidden_dim: Narrowest width of both.
        blocks_per_group: Residual blocks of each of the four groups of both.
        init_dim: Width of what a code is mapped to first.
    """

    kind = "a whole autoencoder of DALL-E's kind"
    downsampling = 8
    out_channels = 6

    def __init__(
        self, vocabulary_size: int = 8192, hidden_dim: int = 256, blocks_per_group: int = 2, init_dim: int = 128
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.encoder = DALLEEncoder(vocabulary_size, hidden_dim, blocks_per_group)
        self.decoder = DALLEDecoder(vocabulary_size, hidden_dim, blocks_per_group, init_dim)
        self.sizes = self.decoder.sizes

    def encode(self, pixels: Tensor) -> Tensor:
        """Scores ``(B, K, H/8, W/8)`` of pixels ``(B, 3, H, W)``."""
        return self.encoder(pixels)

    def decode(self, weights: Tensor) -> Tensor:
        """Parameters of the pixels' law, ``(B, 6, 8h, 8w)``, of weights ``(B, K, h, w)`` of the codes."""
        return self.decoder(weights)

    @staticmethod
    def sizes_in(state: Mapping[str, Tensor]) -> dict[str, int] | None:
        """Arguments of the network that a state dict belongs to; None where it belongs to none."""
        parts = {
            part: {name.removeprefix(part): v for name, v in state.items() if name.startswith(part)}
            for part in ('encoder.', 'decoder.')
        }
        if DALLEEncoder.sizes_in(parts['encoder.']) is None:
            return None
        return DALLEDecoder.sizes_in(parts['decoder.'])
