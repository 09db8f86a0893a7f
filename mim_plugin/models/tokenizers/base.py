"""What tokenizers are: what they return, and what the frozen ones have in common."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mim_plugin.errors import CheckpointError, ConfigError

__all__ = ['FrozenTokenizer', 'Targets', 'forget_frozen_tokenizer', 'frozen_prefixes']


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


class FrozenTokenizer(nn.Module, ABC):
    """A tokenizer that does not learn with the student: images in, one target a patch out (base class).

    A subclass sets :attr:`kind` and :attr:`vocabulary_size` (ids) or :attr:`value_dims` (values), and
    writes :meth:`grid_size` and :meth:`encode`. One that has weights takes ``checkpoint=FILE`` and
    writes :meth:`load_checkpoint`, which the Runner calls before training.

    Frozen means: always in evaluation mode, no gradient, not in the optimizer, not in the buckets of
    distributed training, and not in saved checkpoints, so that a file of weights is named by the
    config for as long as it is needed.

    Args:
        checkpoint: File with the weights; None keeps the start values, which are random.

    Attributes:
        kind: 'ids' or 'values'.
        vocabulary_size: Number K of codes, for 'ids'.
        value_dims: Numbers a patch, for 'values'.
        has_weights: Whether a missing ``checkpoint`` means random weights.
        can_decode: Whether :meth:`decode` makes images of targets.
        without_file: What the user should do when ``checkpoint`` is no file; None where it need not be one.
    """

    kind: Literal['ids', 'values'] = 'ids'
    vocabulary_size: int | None = None
    value_dims: int | None = None
    has_weights = True
    can_decode = False
    without_file: str | None = None

    def __init__(self, checkpoint: str | None = None) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self._loaded = checkpoint is None

    @abstractmethod
    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of targets of an image of ``(H, W)`` pixels.

        Raises:
            ConfigError: The tokenizer cannot take images of that size.
        """

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """The targets of images ``(B, 3, H, W)`` with values in [0, 1].

        Returns:
            Ids ``(B, h, w)`` int64, or values ``(B, h, w, D)``.
        """

    def load_checkpoint(self, checkpoint: str) -> None:
        """Read the weights.

        Raises:
            CheckpointError: The file is missing, of another kind, or does not fit.
        """
        raise ConfigError(f'{type(self).__name__} has no weights; remove checkpoint={checkpoint!r} from its config.')

    def decode(self, targets: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` with values in [0, 1] of targets as :meth:`encode` gives; see ``can_decode``."""
        raise ConfigError(f'{type(self).__name__} has no decoder; choose another tokenizer for pictures.')

    def init_weights(self) -> None:
        """Read ``checkpoint``, once; called before training starts.

        Raises:
            CheckpointError: The file is missing, of another kind, or does not fit.
        """
        if not self._loaded:
            if self.without_file and not Path(self.checkpoint).exists():
                raise CheckpointError(
                    f'{self.checkpoint} does not exist, but tokenizer.checkpoint names it; {self.without_file}.'
                )
            self.load_checkpoint(self.checkpoint)
            self._loaded = True
        elif self.checkpoint is None and self.has_weights:
            print_log(
                f'{type(self).__name__} has random weights: what it makes of an image means nothing until '
                'tokenizer.checkpoint names a file.',
                logger='current',
                level=logging.WARNING,
            )

    @torch.no_grad()
    def forward(self, images: Tensor) -> Targets:
        """Targets of images ``(B, 3, H, W)`` with values in [0, 1], in float32 whatever the training's precision."""
        if not self._loaded:
            raise ConfigError(f'{type(self).__name__} has not read {self.checkpoint} yet; call its init_weights().')
        with torch.autocast(images.device.type, enabled=False):
            return Targets(self.kind, self.encode(images.float()))

    def train(self, mode: bool = True) -> FrozenTokenizer:
        """Stay in evaluation mode."""
        return super().train(False)

    def freeze(self) -> FrozenTokenizer:
        """Switch gradients off; what owns the tokenizer calls it."""
        self.requires_grad_(False)
        return self.train(False)

    def state_dict(self, *args: Any, destination: dict | None = None, **kwargs: Any) -> dict[str, Tensor]:
        """Nothing: a frozen tokenizer is in no checkpoint. See :meth:`full_state_dict`."""
        return {} if destination is None else destination

    def full_state_dict(self) -> dict[str, Tensor]:
        """Its parameters and persistent buffers, what ``load_state_dict`` takes."""
        return super().state_dict()


def forget_frozen_tokenizer(model: nn.Module, incompatible: Any) -> None:
    """Post hook of ``load_state_dict``: the weights of frozen tokenizers are not missed in a checkpoint."""
    missing, prefixes = incompatible.missing_keys, frozen_prefixes(model)
    missing[:] = [name for name in missing if not name.startswith(prefixes)]


def frozen_prefixes(model: nn.Module) -> tuple[str, ...]:
    """Beginnings of the names of what belongs to the frozen tokenizers of ``model``."""
    return tuple(f'{name}.' for name, module in model.named_modules() if isinstance(module, FrozenTokenizer))
