"""What every tokenizer returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

__all__ = ['Targets']


@dataclass
class Targets:
    """What should be predicted.

    Attributes:
        kind: 'ids' (one code a patch), 'distribution' (scores of K prototypes) or
            'values' (numbers to regress).
        patches: For 'ids' ``(B, h, w)`` int64; for 'distribution' the scores of the
            selected patches ``(M, Kp)``; for 'values' ``(B, h, w, D)``.
        cls: Scores of [CLS] ``(B, K)``, when the tokenizer gives them.
        patch_mean: Mean score over all patches ``(1, Kp)``, for a centre.
    """

    kind: Literal['ids', 'distribution', 'values']
    patches: Tensor
    cls: Tensor | None = None
    patch_mean: Tensor | None = None
