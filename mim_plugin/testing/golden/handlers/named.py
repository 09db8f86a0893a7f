"""Parameters that are known by name and shape only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

__all__ = ['NamedModel']


class NamedModel(nn.Module):
    """Parameters in a given order under given names, for rules that look at nothing else.

    Args:
        params: Parameter by name.
    """

    def __init__(self, params: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        self._table = dict(params)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """As of any module."""
        return iter(self._table.items())
