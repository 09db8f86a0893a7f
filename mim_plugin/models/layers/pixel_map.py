"""The pixel values that a discrete autoencoder with a logit-Laplace likelihood reads and writes."""

from __future__ import annotations

from torch import Tensor

__all__ = ['LOGIT_LAPLACE_EPS', 'map_pixels', 'unmap_pixels']

LOGIT_LAPLACE_EPS = 0.1


def map_pixels(images: Tensor, eps: float = LOGIT_LAPLACE_EPS) -> Tensor:
    """Move values in [0, 1] into [eps, 1 - eps], where their logits are finite.

    Source: Zero-shot text-to-image generation (arXiv 2102.12092), appendix A.3.
    """
    return (1 - 2 * eps) * images + eps


def unmap_pixels(images: Tensor, eps: float = LOGIT_LAPLACE_EPS) -> Tensor:
    """Undo :func:`map_pixels`; what lies beyond its range is cut to [0, 1]."""
    return ((images - eps) / (1 - 2 * eps)).clamp(0, 1)
