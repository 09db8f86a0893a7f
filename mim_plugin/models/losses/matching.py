"""Which patches of two crops show the same thing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['match_by_feature']


def match_by_feature(student: Tensor, teacher: Tensor, batch: int) -> Tensor:
    """For every patch the patch of the next crop with the most similar token.

    Args:
        student: Patch tokens of all global crops, ``(G * B, N, D)``, crop-major.
        teacher: The teacher's tokens of the same crops.
        batch: Number B of images.

    Returns:
        ``(G * B, N)`` int64, positions in the flattened ``G * B * N``; the crop after the last is the first.
    """
    crops, patches = student.shape[:2]
    with torch.autocast(student.device.type, enabled=False):  # half precision would make equals of neighbours
        similar = F.normalize(student.float(), dim=-1) @ F.normalize(teacher.float(), dim=-1).roll(-batch, 0).mT
    first = torch.arange(crops, device=student.device).roll(-batch)[:, None] * patches
    return first + similar.argmax(-1)
