"""Constant tensors that are made once for each device."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

__all__ = ['tensor_cache']

_LIMIT = 64
_BYTES = 2**28  # index maps of large grids have some 100 MB each
# Not in torch before 2.3.
_is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)


def tensor_cache(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Remember the results of a function that makes constants from numbers and a device.

    Unlike a buffer, such a constant is in no state dict, is shared by all blocks and networks, survives
    ``to_empty()`` and follows the device of its user; a copy from the host happens once.

    Args:
        make: Function of hashable arguments.
    """
    results: dict[tuple, Tensor] = {}

    @wraps(make)
    def cached(*key) -> Tensor:
        if _is_compiling():  # the compiler makes a constant of it
            return make(*key)
        if key not in results:
            # A tensor made in inference mode could never enter a later backward pass.
            with torch.inference_mode(False), torch.no_grad():
                value = make(*key)
            if type(value) is not Tensor:  # a stand-in of a tracer must not outlive the trace
                return value
            results[key] = value
            while len(results) > 1 and (len(results) > _LIMIT or sum(v.nbytes for v in results.values()) > _BYTES):
                results.pop(next(iter(results)))
        return results[key]

    return cached
