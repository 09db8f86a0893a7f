"""Codes of discrete autoencoders that were trained here, and of BEiT's own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_plugin.models.dvae.loading import load_network
from mim_plugin.models.losses.dvae import PIXEL_LAWS, check_pixel_law
from mim_plugin.models.tokenizers.base import FrozenTokenizer
from mim_plugin.models.tokenizers.patches import patch_grid
from mim_plugin.registry import MODELS

__all__ = ['DVAETokenizer', 'one_hot']


@MODELS.register_module()
class DVAETokenizer(FrozenTokenizer):
    """The likeliest code of a discrete autoencoder at each cell of its grid.

    Args:
        network: Config of a network of :mod:`mim_plugin.models.dvae`, as in the config that trained it.
        pixel_law: The one that it was trained with: 'logit_laplace' for those of the configs here, 'l2' or
            'smooth_l1' for BEiT's own.
        checkpoint: A checkpoint of ``DiscreteVAE``, a state dict, or the published file of BEiT's own.

    Source: BEiT (arXiv 2106.08254), section 2.1.
    """

    can_decode = True
    without_file = 'train it first (docs/dvae.md), or name the checkpoint that you have'

    def __init__(self, network: dict, pixel_law: str = 'logit_laplace', checkpoint: str | None = None) -> None:
        super().__init__(checkpoint)
        self.network = MODELS.build(network)
        check_pixel_law(pixel_law, self.network)
        self.law = PIXEL_LAWS[pixel_law]
        self.vocabulary_size = self.network.vocabulary_size

    def load_checkpoint(self, checkpoint: str) -> None:
        """Read the network.

        Raises:
            CheckpointError: The file is missing, of another kind, or of another size.
        """
        load_network(self.network, checkpoint)

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """One code for ``downsampling`` squared pixels; both sides must be multiples of it."""
        return patch_grid(image_size, self.network.downsampling, 'DVAETokenizer')

    def encode(self, images: Tensor) -> Tensor:
        """Ids ``(B, h, w)`` of images ``(B, 3, H, W)`` with values in [0, 1]."""
        self.grid_size(images.shape[2:])
        return self.network.encode(self.law.prepare(images)).argmax(1)

    @torch.no_grad()
    def decode(self, targets: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` with values in [0, 1] of ids ``(B, h, w)``."""
        return self.law.images(self.network.decode(one_hot(targets, self.vocabulary_size)))


def one_hot(ids: Tensor, vocabulary_size: int) -> Tensor:
    """Weights ``(B, K, h, w)`` of ids ``(B, h, w)``: 1 for the code itself."""
    return F.one_hot(ids, vocabulary_size).movedim(-1, 1).float()
