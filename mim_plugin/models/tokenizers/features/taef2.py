"""TAEF2: a tiny convolutional autoencoder, whose latents make good codes and can be drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mim_plugin.errors import CheckpointError
from mim_plugin.models.tokenizers.features.base import FeatureGrid
from mim_plugin.registry import MODELS

__all__ = ['TAEF2Features', 'taef2_decoder', 'taef2_encoder']

WIDTH = 64
LATENT_DIMS = 32


class _Block(nn.Module):
    """Three convolutions beside a skip; a pooled one first adds what group-normalised channels say."""

    def __init__(self, width: int, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)
        )  # fmt: skip
        self.pool = None
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(width, 4 * width, 1, bias=False), nn.GroupNorm(4, 4 * width), nn.ReLU(),
                nn.Conv2d(4 * width, width, 1, bias=False),
            )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return (self.conv(x) + x).relu()


class _SoftClamp(nn.Module):
    """Latents to (-3, 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


def _conv(in_dims: int, out_dims: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(in_dims, out_dims, 3, padding=1, **options)


def _blocks(width: int, pooled: bool = False) -> list[nn.Module]:
    return [_Block(width, pooled) for _ in range(3)]


def taef2_encoder(width: int = WIDTH) -> nn.Sequential:
    """RGB in [0, 1] ``(B, 3, H, W)`` -> latents ``(B, 32, H / 8, W / 8)``; names as in the published file."""
    down = {'stride': 2, 'bias': False}
    return nn.Sequential(
        _conv(3, width), _Block(width, pooled=False),
        _conv(width, width, **down), *_blocks(width),
        _conv(width, width, **down), *_blocks(width),
        _conv(width, width, **down), *_blocks(width, pooled=True),
        _conv(width, LATENT_DIMS),
    )  # fmt: skip


def taef2_decoder(width: int = WIDTH) -> nn.Sequential:
    """Latents ``(B, 32, h, w)`` -> RGB ``(B, 3, 8 h, 8 w)``, not clamped; names as in the published file."""
    return nn.Sequential(
        _SoftClamp(), _conv(LATENT_DIMS, width), nn.ReLU(), *_blocks(width, pooled=True),
        nn.Upsample(scale_factor=2), _conv(width, width, bias=False), *_blocks(width),
        nn.Upsample(scale_factor=2), _conv(width, width, bias=False), *_blocks(width),
        nn.Upsample(scale_factor=2), _conv(width, width, bias=False), _Block(width, pooled=False),
        _conv(width, 3),
    )  # fmt: skip


@MODELS.register_module()
class TAEF2Features(FeatureGrid):
    """The latents of TAEF2, 32 numbers for each 8 x 8 pixels; with its decoder, codes can be drawn.

    TAEF2 was distilled from the autoencoder of FLUX.2 (github.com/madebyollin/taesd, MIT licence).
    Its two files come as ``taef2_encoder.safetensors`` and ``taef2_decoder.safetensors`` (or ``.pth``).

    Args:
        checkpoint: File of the encoder.
        decoder_checkpoint: File of the decoder; None: codes cannot be drawn.
        width: Channels of the hidden layers, 64 in the published files.
    """

    stride = 8
    dims = LATENT_DIMS

    def __init__(
        self, checkpoint: str | None = None, decoder_checkpoint: str | None = None, width: int = WIDTH
    ) -> None:
        super().__init__(checkpoint)
        self.width = width
        self.decoder_checkpoint = decoder_checkpoint
        self.can_decode = decoder_checkpoint is not None
        self.encoder = taef2_encoder(width)
        self.decoder = taef2_decoder(width) if self.can_decode else None

    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {'width': self.width}

    def weights(self) -> dict[str, Tensor]:
        """Those of the encoder: codes do not depend on the decoder."""
        return self.encoder.state_dict()

    def init_weights(self) -> None:
        """Read both files."""
        super().init_weights()
        if self.decoder_checkpoint is not None:
            _load(self.decoder, self.decoder_checkpoint, 'decoder')

    def load_checkpoint(self, checkpoint: str) -> None:
        """See the base class."""
        _load(self.encoder, checkpoint, 'encoder')

    def forward(self, images: Tensor) -> Tensor:
        """See the base class."""
        self.grid_size(images.shape[2:])
        return self.encoder(images).permute(0, 2, 3, 1)

    def decode(self, features: Tensor) -> Tensor:
        """See the base class."""
        if self.decoder is None:
            return super().decode(features)
        return self.decoder(features.permute(0, 3, 1, 2)).clamp(0, 1)


def _load(module: nn.Module, checkpoint: str, part: str) -> None:
    from mim_plugin.checkpoints import read_checkpoint
    from mim_plugin.checkpoints.contents import state_dict_of

    state, wanted = state_dict_of(read_checkpoint(checkpoint)), module.state_dict()
    if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in wanted.items()}:
        raise CheckpointError(
            f'{checkpoint} is not the {part} of TAEF2: it has {len(state.keys() & wanted.keys())} of the {len(wanted)} '
            f'tensors, or other shapes; name taef2_{part}.safetensors in tokenizer.features.'
        )
    module.load_state_dict(state)
