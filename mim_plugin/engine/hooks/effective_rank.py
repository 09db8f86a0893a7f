"""An early sign of collapse."""

from __future__ import annotations

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner
from torch import Tensor

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.registry import HOOKS

__all__ = ['EffectiveRankHook', 'effective_rank']


def effective_rank(features: Tensor) -> Tensor:
    """Number of directions that the features of different images really use.

    The exponential of the entropy of the singular values, normalised to sum 1, of the centred features.

    Args:
        features: ``(B, D)``, one row an image.

    Returns:
        Scalar between 1 (also if all rows are equal) and ``min(B - 1, D)``.

    Source: Roy and Vetterli, The effective rank (EUSIPCO 2007).
    """
    features = features.float()
    values = torch.linalg.svdvals(features - features.mean(0))
    share = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    return torch.special.entr(share).sum().exp()


@HOOKS.register_module()
class EffectiveRankHook(Hook):
    """Logs ``effective_rank`` of the teacher's [CLS] features, and warns when they collapse.

    The features of the first crop of the current batch's images are computed again, without
    gradient, on the main process. Healthy runs rise from about 4; a run that falls below 2, or
    to half of what it had, is about to describe all images alike, long before the loss shows it.

    Args:
        interval: Iterations between two looks; a multiple of the logger's costs no extra wait for the device.
        num_images: Largest number of images per look.
    """

    # Below this many images the number says little about the features.
    MIN_IMAGES = 8

    def __init__(self, interval: int = 50, num_images: int = 64) -> None:
        self.interval = interval
        self.num_images = num_images
        self.best = 0.0
        self.warned = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Look at every ``interval``-th batch."""
        if not self.every_n_train_iters(runner, self.interval) or not is_main_process():
            return
        features = self._features(runner, data_batch['inputs'])
        if not features.isfinite().all():
            return  # DeviceRuntimeInfoHook has better words for it
        rank = effective_rank(features).item()
        runner.message_hub.update_scalar('train/effective_rank', rank)
        if len(features) >= self.MIN_IMAGES:
            self._warn_of_collapse(runner, rank, min(len(features) - 1, features.shape[1]))

    @torch.no_grad()
    def _features(self, runner: Runner, inputs: dict | Tensor) -> Tensor:
        model = unwrap(runner.model)
        images = inputs['global'][0] if isinstance(inputs, dict) else inputs
        prepared = model.data_preprocessor({'inputs': images[: self.num_images]}, False)
        return model.extract_feat(prepared['inputs'])

    def _warn_of_collapse(self, runner: Runner, rank: float, largest: int) -> None:
        collapsing = rank < 2 or rank < self.best / 2
        self.best = max(self.best, rank)
        if collapsing and not self.warned:
            runner.logger.warning(
                f'The teacher describes different images almost alike: effective rank {rank:.1f} of at most {largest}, '
                f'the highest so far was {self.best:.1f}. The training is collapsing; try a larger batch, a lower lr, '
                'a longer warm-up, a lower teacher_temp or a momentum nearer to 1.'
            )
        self.warned = collapsing
