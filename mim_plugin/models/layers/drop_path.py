"""Stochastic depth."""

from __future__ import annotations

from torch import Tensor, nn

from mim_plugin.errors import ConfigError

__all__ = ['DropPath']


class DropPath(nn.Module):
    """Leave out a residual branch for a random part of the samples while training.

    Kept branches are divided by the probability of being kept, so that the expected value does not
    change. One draw for each sample and call, made on the device of the input.

    Args:
        rate: Probability that a sample's branch is left out, in [0, 1).

    Source: Deep networks with stochastic depth (arXiv 1603.09382), per sample.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ConfigError(f'drop_path_rate={rate} is not in [0, 1).')
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Scale each sample of ``(B, ...)`` by 0 or ``1 / (1 - rate)``."""
        if self.rate == 0 or not self.training:
            return x
        keep = 1 - self.rate
        kept = x.new_empty((len(x),) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        # Dividing by the number, not the mask, keeps 1 / keep exact in half precision.
        return x / keep * kept

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return f'rate={self.rate:.3g}'
