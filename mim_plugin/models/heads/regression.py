"""A head that regresses the numbers of a hidden patch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.models.heads.base import PatchHead
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import MODELS

__all__ = ['PatchRegressionHead']

_LOSSES = {'l2': F.mse_loss, 'l1': F.l1_loss, 'smooth_l1': F.smooth_l1_loss}


@MODELS.register_module()
class PatchRegressionHead(PatchHead):
    """A linear layer to the values of a patch.

    Args:
        in_dim: Width D of the tokens.
        value_dims: Numbers Dv a patch.
        error: 'l2' (mean square), 'l1' or 'smooth_l1', a mean over the numbers of a patch.
        global_mean: See :class:`PatchHead`.

    Source: pixel regression of BEiT (arXiv 2106.08254), Table 4.
    """

    def __init__(self, in_dim: int, value_dims: int, error: str = 'l2', global_mean: bool = False) -> None:
        super().__init__(global_mean)
        if error not in _LOSSES:
            raise ConfigError(f'head.error={error!r} is unknown; use one of {sorted(_LOSSES)}.')
        self.value_dims = value_dims
        self.error = _LOSSES[error]
        self.linear = nn.Linear(in_dim, value_dims)
        nn.init.trunc_normal_(self.linear.weight, std=0.02, a=-0.02, b=0.02)
        nn.init.zeros_(self.linear.bias)

    def check_targets(self, tokenizer: FrozenTokenizer) -> None:
        """As many values a patch are needed."""
        if tokenizer.kind != 'values':
            raise ConfigError(
                f'{type(tokenizer).__name__} gives ids, not values; use head.type=TokenClassificationHead with it.'
            )
        if tokenizer.value_dims != self.value_dims:
            raise ConfigError(
                f'The head predicts {self.value_dims} values a patch but {type(tokenizer).__name__} gives '
                f'{tokenizer.value_dims}; set head.value_dims={tokenizer.value_dims} or leave it out.'
            )

    def predict(self, tokens: Tensor) -> Tensor:
        """Values ``(M, Dv)`` of tokens ``(M, D)``."""
        return self.linear(tokens)

    def errors(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The error, summed over patches."""
        return self.error(prediction.float(), target, reduction='sum') / self.value_dims, {}
