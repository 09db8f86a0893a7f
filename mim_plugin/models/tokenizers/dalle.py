"""The tokenizer of the BEiT paper: the codes of DALL-E's published autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.models.dvae import DALLEDecoder, DALLEEncoder
from mim_plugin.models.dvae.loading import load_network
from mim_plugin.models.losses.dvae import PIXEL_LAWS
from mim_plugin.models.tokenizers.base import FrozenTokenizer
from mim_plugin.models.tokenizers.dvae import one_hot
from mim_plugin.models.tokenizers.patches import patch_grid
from mim_plugin.registry import MODELS

__all__ = ['DALLETokenizer']


@MODELS.register_module()
class DALLETokenizer(FrozenTokenizer):
    """DALL-E's encoder, one of 8192 codes for 8 x 8 pixels, and its decoder where there is a file for it.

    The encoder is meant for images of 112 pixels where the transformer sees 224 in patches of 16.
    The published files are whole pickled modules; they are read without running what is in them.

    Args:
        checkpoint: The published ``encoder.pkl``, or a state dict of the encoder.
        decoder_checkpoint: The published ``decoder.pkl``, or a state dict of the decoder; only pictures need it.
        vocabulary_size: Number of codes.
        hidden_dim: Narrowest width of both networks.
        blocks_per_group: Residual blocks of each of their four groups.
        decoder_init_dim: Width of what the decoder maps a code to first.

    Raises:
        ConfigError: A decoder without encoder.

    Source: BEiT (arXiv 2106.08254), section 2.1; Zero-shot text-to-image generation (arXiv 2102.12092).
    """

    without_file = 'put the published file there, or take a tokenizer without download (docs/tokenizers.md)'
    DOWNSAMPLING = 8

    def __init__(
        self,
        checkpoint: str | None = None,
        decoder_checkpoint: str | None = None,
        vocabulary_size: int = 8192,
        hidden_dim: int = 256,
        blocks_per_group: int = 2,
        decoder_init_dim: int = 128,
    ) -> None:
        super().__init__(checkpoint)
        if decoder_checkpoint and not checkpoint:
            raise ConfigError(
                f'DALLETokenizer has decoder_checkpoint={decoder_checkpoint!r} but no checkpoint; '
                'set tokenizer.checkpoint to the file of the encoder.'
            )
        self.decoder_checkpoint = decoder_checkpoint
        self.can_decode = decoder_checkpoint is not None
        self.vocabulary_size = vocabulary_size
        self.encoder = DALLEEncoder(vocabulary_size, hidden_dim, blocks_per_group)
        if self.can_decode:
            self.decoder = DALLEDecoder(vocabulary_size, hidden_dim, blocks_per_group, decoder_init_dim)
        self.law = PIXEL_LAWS['logit_laplace']

    def load_checkpoint(self, checkpoint: str) -> None:
        """Read the encoder and, if wanted, the decoder.

        Raises:
            CheckpointError: A file is missing, of another kind, or of another size.
        """
        load_network(self.encoder, checkpoint)
        if self.can_decode:
            load_network(self.decoder, self.decoder_checkpoint)

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """One code for 8 x 8 pixels; both sides must be multiples of 8."""
        return patch_grid(image_size, self.DOWNSAMPLING, 'DALLETokenizer')

    def encode(self, images: Tensor) -> Tensor:
        """Ids ``(B, H/8, W/8)`` of images ``(B, 3, H, W)`` with values in [0, 1]."""
        self.grid_size(images.shape[2:])
        return self.encoder(self.law.prepare(images)).argmax(1)

    @torch.no_grad()
    def decode(self, targets: Tensor) -> Tensor:
        """Images ``(B, 3, 8h, 8w)`` with values in [0, 1] of ids ``(B, h, w)``.

        Raises:
            ConfigError: There is no decoder.
        """
        if not self.can_decode:
            raise ConfigError('DALLETokenizer has no decoder; set tokenizer.decoder_checkpoint to its file.')
        return self.law.images(self.decoder(one_hot(targets, self.vocabulary_size)))
