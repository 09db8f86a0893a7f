"""Training a tokenizer: a discrete variational autoencoder from scratch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.models.losses.dvae import (
    PIXEL_LAWS,
    check_pixel_law,
    count_codes,
    gumbel_noise,
    kl_to_uniform,
    perplexity,
    relaxed_codes,
    share_used,
)
from mim_plugin.registry import MODELS

__all__ = ['DiscreteVAE']


@MODELS.register_module()
class DiscreteVAE(BaseModel):
    """An autoencoder whose middle is a grid of codes, made differentiable by the Gumbel-softmax.

    The loss is what the decoder misses of the pixels, a mean over all values of an image, plus
    ``kl_weight`` times the codes' divergence from the uniform prior, summed over the positions of an
    image, averaged over images and divided by the number of values of an image, as in DALL-E. The
    divergence keeps codes alive: without it few of them survive.

    A hook (``DiscreteVAEScheduleHook``) lowers :attr:`temperature` and raises :attr:`kl_weight`. The
    checkpoints are read by the tokenizer ``DVAETokenizer`` as they are.

    Args:
        network: Config of a network of :mod:`mim_plugin.models.dvae`.
        pixel_law: 'logit_laplace' (the network gives 6 numbers a pixel), 'l2' or 'smooth_l1' (3).
        temperature: Of the relaxation, until a hook sets it.
        kl_weight: Weight beta of the divergence, until a hook sets it.
        straight_through: The decoder sees one-hot codes in training, too.
        data_preprocessor: Config of a ``MIMDataPreprocessor``; must give values in [0, 1], as it does by default.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` starts from a checkpoint of this algorithm.

    Raises:
        ConfigError: Unknown ``pixel_law``, or one that does not fit the network.

    Source: Zero-shot text-to-image generation (arXiv 2102.12092), section 2.1 and appendix A.
    """

    def __init__(
        self,
        network: dict,
        pixel_law: str = 'logit_laplace',
        temperature: float = 1.0,
        kl_weight: float = 6.6,
        straight_through: bool = False,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        preprocessor = {'type': 'MIMDataPreprocessor', 'mean': (0, 0, 0), 'std': (255, 255, 255)}
        super().__init__(MODELS.build(preprocessor | (data_preprocessor or {})), init_cfg)
        self.network = MODELS.build(network)
        check_pixel_law(pixel_law, self.network)
        self.law = PIXEL_LAWS[pixel_law]
        self.temperature = temperature
        self.kl_weight = kl_weight
        self.straight_through = straight_through
        # How often each code was the likeliest since the last reset; a hook reads it.
        self.register_buffer('code_counts', torch.zeros(self.network.vocabulary_size), persistent=False)

    def init_weights(self) -> None:
        """Keep the start values drawn at construction, or load ``init_cfg``'s file."""
        if self.init_cfg and self.init_cfg['type'] == 'Pretrained':
            from mim_plugin.checkpoints import load_pretrained

            load_pretrained(self, self.init_cfg['checkpoint'])
        self._is_init = True

    def forward(self, inputs: Any, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """mmengine's entry point.

        Args:
            inputs: Views of :class:`MIMDataPreprocessor`, of which the global crops are used, or images
                ``(B, 3, H, W)``; values in [0, 1].
            data_samples: Unused.
            mode: 'loss'; 'tensor' for the scores of codes; 'predict' for reconstructions.

        Returns:
            A dict of losses and logged figures, scores ``(B, K, h, w)``, or images ``(B, 3, H, W)``.
        """
        images = inputs['global'] if isinstance(inputs, dict) else inputs
        if mode == 'loss':
            return self.loss(images)
        return self.reconstruct(images) if mode == 'predict' else self.network.encode(self.law.prepare(images))

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Losses in nats a value, and figures about the codes of one batch.

        Args:
            images: ``(B, 3, H, W)``, values in [0, 1].

        Returns:
            ``loss_recon``, ``loss_kl``; ``kl`` (nats a position), ``perplexity`` and ``codes_used`` (percent)
            of the batch's likeliest codes.
        """
        self._check_size(images)
        pixels = self.law.prepare(images)
        logits = self.network.encode(pixels).float()
        weights = relaxed_codes(logits, self.temperature, gumbel_noise(logits), self.straight_through)
        error = self.law.error(self.network.decode(weights).float(), pixels)
        kl = kl_to_uniform(logits).mean()
        values, positions = images[0].numel(), logits[0, 0].numel()
        losses = {'loss_recon': error, 'loss_kl': self.kl_weight / values * kl}
        return losses | {'kl': kl.detach() / positions} | self._count(logits.detach())

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` decoded from their likeliest codes, values in [0, 1]."""
        ids = self.network.encode(self.law.prepare(images)).argmax(1)
        one_hot = F.one_hot(ids, self.network.vocabulary_size).movedim(-1, 1).float()
        return self.law.images(self.network.decode(one_hot).float())

    def reset_code_counts(self) -> Tensor:
        """The counts ``(K,)`` of the likeliest codes of all batches since the last call."""
        counts = self.code_counts.clone()
        self.code_counts.zero_()
        return counts

    def _count(self, logits: Tensor) -> dict[str, Tensor]:
        counts = count_codes(logits.argmax(1), logits.shape[1])
        self.code_counts += counts
        return {'perplexity': perplexity(counts), 'codes_used': share_used(counts)}

    def _check_size(self, images: Tensor) -> None:
        if any(side % self.network.downsampling for side in images.shape[2:]):
            raise ConfigError(
                f'Crops of {tuple(images.shape[2:])} pixels do not divide into cells of {self.network.downsampling}, '
                'one for each code of model.network; change the crop size in train_pipeline.'
            )
