"""What the heads that predict a frozen tokenizer's targets have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from mmengine import dist
from torch import Tensor, nn

from mim_plugin.models.tokenizers import FrozenTokenizer, Targets

__all__ = ['PatchHead']


class PatchHead(nn.Module, ABC):
    """Predicts the target of single patches from their tokens (base class).

    Args:
        global_mean: Average over the predicted patches of all processes. Off, each process averages
            over its own and the gradients are averaged, as in the published BEiT code: there a
            patch weighs more in a process with fewer hidden patches.
    """

    def __init__(self, global_mean: bool = False) -> None:
        super().__init__()
        self.global_mean = global_mean

    @abstractmethod
    def check_targets(self, tokenizer: FrozenTokenizer) -> None:
        """Raise a ConfigError if this head cannot predict what the tokenizer gives."""

    @abstractmethod
    def predict(self, tokens: Tensor) -> Tensor:
        """Predictions of tokens ``(M, D)``."""

    @abstractmethod
    def errors(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The summed error of ``M`` predictions, and sums of figures to log."""

    def loss(self, tokens: Tensor, targets: Targets, index: Tensor | None = None) -> dict[str, Tensor]:
        """Loss of the predicted patches.

        Args:
            tokens: Patch tokens ``(B, N, D)`` of the student.
            targets: Targets ``(B, h, w)`` or ``(B, h, w, Dv)``, ``N = h * w``.
            index: ``(M,)`` int64, positions in the flattened ``B * N`` of the patches that count;
                None = all of them. Only these are projected.

        Returns:
            ``loss_mim`` and figures; all are means over the patches that count, 0 (with zero
            gradient) where there are none.
        """
        tokens, target = tokens.flatten(0, 1), targets.patches.flatten(0, 2)
        if index is not None:
            tokens, target = tokens[index], target[index]
        total, figures = self.errors(self.predict(tokens), target)
        local = max(1, len(tokens))
        return {'loss_mim': total / self._count(tokens)} | {name: value / local for name, value in figures.items()}

    def _count(self, tokens: Tensor) -> float | Tensor:
        if not self.global_mean:
            return max(1, len(tokens))
        count = torch.full((), float(len(tokens)), device=tokens.device)
        dist.all_reduce(count, op='sum')
        # Distributed training averages over processes what should be a sum over them.
        return count.clamp(min=1) / dist.get_world_size()
