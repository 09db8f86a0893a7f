"""Objective of a discrete variational autoencoder, as pure functions.

Source: Zero-shot text-to-image generation (arXiv 2102.12092), section 2.1 and appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.models.layers.pixel_map import map_pixels, unmap_pixels

__all__ = [
    'PIXEL_LAWS',
    'LogitLaplace',
    'PixelError',
    'check_pixel_law',
    'count_codes',
    'gumbel_noise',
    'kl_to_uniform',
    'logit_laplace_nll',
    'perplexity',
    'relaxed_codes',
    'share_used',
]


def logit_laplace_nll(pixels: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Negative log-density of a law on (0, 1): the logit of a value follows a Laplace law.

    Args:
        pixels: Values strictly between 0 and 1.
        mean: Mean of the logits, same shape.
        log_scale: Logarithm of their scale b, same shape.

    Returns:
        Nats, same shape; negative where the density exceeds 1.

    Source: appendix A.3, equation 2: ``1 / (2 b x (1 - x)) exp(-|logit x - mean| / b)``.
    """
    deviation = (torch.logit(pixels) - mean).abs() * torch.exp(-log_scale)
    return math.log(2) + log_scale + pixels.log() + torch.log1p(-pixels) + deviation


def kl_to_uniform(logits: Tensor) -> Tensor:
    """Divergence of the codes' distribution from the uniform one, summed over the positions of an image.

    Args:
        logits: Scores ``(B, K, h, w)``.

    Returns:
        ``(B,)`` nats, between 0 and ``h * w * log K``.
    """
    log_prob = logits.log_softmax(1)
    return (log_prob.exp() * (log_prob + math.log(logits.shape[1]))).flatten(1).sum(1)


def gumbel_noise(like: Tensor) -> Tensor:
    """Draws of the standard Gumbel law, in the shape of ``like``."""
    return -torch.empty_like(like).exponential_().log()


def relaxed_codes(logits: Tensor, temperature: float, noise: Tensor, straight_through: bool = False) -> Tensor:
    """A draw of codes through which gradients flow (Gumbel-softmax).

    Args:
        logits: Scores ``(B, K, h, w)``.
        temperature: Near 0 the weights are those of one code.
        noise: :func:`gumbel_noise` of that shape.
        straight_through: Forward the one-hot vector of the largest weight, with the gradient of the weights.

    Returns:
        Weights ``(B, K, h, w)`` that sum to 1 over the codes.

    Source: Jang et al., Categorical reparameterization with Gumbel-softmax (arXiv 1611.01144).
    """
    weights = ((logits + noise) / temperature).softmax(1)
    if not straight_through:
        return weights
    hard = torch.zeros_like(weights).scatter_(1, weights.argmax(1, keepdim=True), 1.0)
    return hard + weights - weights.detach()


def count_codes(ids: Tensor, vocabulary_size: int) -> Tensor:
    """How often each code occurs, ``(K,)`` float32; the host does not wait for the device."""
    ids = ids.flatten()
    counts = torch.zeros(vocabulary_size, device=ids.device)
    return counts.scatter_add_(0, ids, torch.ones_like(ids, dtype=counts.dtype))


def perplexity(counts: Tensor) -> Tensor:
    """Number of equally frequent codes with the same entropy, between 1 and K."""
    return torch.special.entr(counts / counts.sum().clamp(min=1)).sum().exp()


def share_used(counts: Tensor) -> Tensor:
    """Share of the codes that occur at all, in percent."""
    return (counts > 0).float().mean() * 100


class LogitLaplace:
    """Pixels follow logit-Laplace laws, of which a decoder gives means and log-scales (6 channels)."""

    channels = 6
    # A tenth of a grey level. Plain white areas would let a scale shrink, and the gradient grow, without end.
    min_log_scale = -7.0

    def prepare(self, images: Tensor) -> Tensor:
        """What the encoder sees of images with values in [0, 1]."""
        return map_pixels(images)

    def error(self, output: Tensor, pixels: Tensor) -> Tensor:
        """Mean nats a value of prepared ``pixels`` under the decoder's ``output``."""
        mean, log_scale = output.chunk(2, dim=1)
        return logit_laplace_nll(pixels, mean, log_scale.clamp(min=self.min_log_scale)).mean()

    def images(self, output: Tensor) -> Tensor:
        """Images with values in [0, 1] from the decoder's output."""
        return unmap_pixels(output[:, :3].sigmoid())


class PixelError:
    """Pixels in [-1, 1] that a decoder gives themselves (3 channels).

    Args:
        error: Mean error of two tensors.

    Source: the customized tokenizer of BEiT's published code.
    """

    channels = 3

    def __init__(self, error: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.error = error

    def prepare(self, images: Tensor) -> Tensor:
        """What the encoder sees of images with values in [0, 1]."""
        return 2 * images - 1

    def images(self, output: Tensor) -> Tensor:
        """Images with values in [0, 1] from the decoder's output."""
        return ((output + 1) / 2).clamp(0, 1)


PIXEL_LAWS = {
    'logit_laplace': LogitLaplace(),
    'l2': PixelError(F.mse_loss),
    'smooth_l1': PixelError(F.smooth_l1_loss),
}


def check_pixel_law(name: str, network: nn.Module) -> None:
    """Raise a ConfigError unless there is such a law and the network gives its numbers."""
    if name not in PIXEL_LAWS:
        raise ConfigError(f'pixel_law={name!r} is unknown; use one of {sorted(PIXEL_LAWS)}.')
    if network.out_channels != PIXEL_LAWS[name].channels:
        raise ConfigError(
            f'pixel_law={name!r} needs {PIXEL_LAWS[name].channels} numbers a pixel, but the network gives '
            f'{network.out_channels}; set network.out_channels={PIXEL_LAWS[name].channels} or another pixel_law.'
        )
