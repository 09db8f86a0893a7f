"""The algorithm behind a Runner's model."""

from mmengine.model import is_model_wrapper
from torch import nn

__all__ = ['unwrap']


def unwrap(model: nn.Module) -> nn.Module:
    """The algorithm itself, out of a wrapper for distributed training if there is one."""
    return model.module if is_model_wrapper(model) else model
