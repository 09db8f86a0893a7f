"""BEiT's head: which of K codes belongs to a hidden patch?"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.models.heads.base import PatchHead
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import MODELS

__all__ = ['TokenClassificationHead']


@MODELS.register_module()
class TokenClassificationHead(PatchHead):
    """A linear layer to the scores of all codes, with cross-entropy.

    Args:
        in_dim: Width D of the tokens.
        vocabulary_size: Number K of codes.
        global_mean: See :class:`PatchHead`.

    Source: BEiT (arXiv 2106.08254), equation 1.
    """

    def __init__(self, in_dim: int, vocabulary_size: int, global_mean: bool = False) -> None:
        super().__init__(global_mean)
        self.vocabulary_size = vocabulary_size
        self.linear = nn.Linear(in_dim, vocabulary_size)
        # BEiT cuts its normals at one standard deviation.
        nn.init.trunc_normal_(self.linear.weight, std=0.02, a=-0.02, b=0.02)
        nn.init.zeros_(self.linear.bias)

    def check_targets(self, tokenizer: FrozenTokenizer) -> None:
        """Ids of the same vocabulary are needed."""
        if tokenizer.kind != 'ids':
            raise ConfigError(
                f'{type(tokenizer).__name__} gives values, not ids; use head.type=PatchRegressionHead with it.'
            )
        if tokenizer.vocabulary_size != self.vocabulary_size:
            raise ConfigError(
                f'The head scores {self.vocabulary_size} codes but {type(tokenizer).__name__} has '
                f'{tokenizer.vocabulary_size}; set head.vocabulary_size={tokenizer.vocabulary_size} or leave it out.'
            )

    def predict(self, tokens: Tensor) -> Tensor:
        """Scores ``(M, K)`` of tokens ``(M, D)``."""
        return self.linear(tokens)

    def errors(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy in nats, and right guesses in percent (``mim_acc``), both summed."""
        right = (prediction.detach().argmax(-1) == target).float().sum() * 100
        return F.cross_entropy(prediction.float(), target, reduction='sum'), {'mim_acc': right}
