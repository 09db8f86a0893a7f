"""iBOT: masked image modeling with an online tokenizer."""

from __future__ import annotations

import torch
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.models.algorithms.self_distillation import SelfDistillation, agreement
from mim_plugin.models.tokenizers import Targets
from mim_plugin.registry import MODELS

__all__ = ['IBOT']


@MODELS.register_module()
class IBOT(SelfDistillation):
    """A student predicts what its EMA teacher sees: [CLS] across views, hidden patches within a view.

    Parts and arguments: see :class:`SelfDistillation`. Which crops have hidden patches is up to the
    pipeline (``PredictionMasks``); the teacher sees local crops only if they have some.

    Source: iBOT (arXiv 2111.07832), section 3 and Algorithm 1.
    """

    def loss(self, views: dict) -> dict[str, Tensor]:
        """Both terms of one batch, and the agreement of teacher and student.

        Args:
            views: See :class:`MIMDataPreprocessor`.

        Returns:
            ``loss_cls`` and ``loss_patch`` (weighted, nats) and ``acc``, see :func:`agreement`.
        """
        self._check_masks(views['global'], views['mask'])
        num_global, index = views['num_global'], views['mask_index']
        targets = self._targets(views['global'], index)
        student_cls, student_patch = self._student(views['global'], index, views['mask'])
        scores, weight, num_images = [student_cls], views['mask_weight'], len(views['global'])
        if views['local'] is not None:
            index, mask = views['local_mask_index'], views['local_mask']
            local_cls, local_patch = self._student(views['local'], index, mask)
            scores.append(local_cls)
            if mask is not None:
                local = self._targets(views['local'], index)
                targets = _join(targets, local, mask.numel() / views['mask'].numel())
                student_patch = torch.cat([student_patch, local_patch])
                weight, num_images = torch.cat([weight, views['local_mask_weight']]), num_images + len(views['local'])

        loss = self.loss_module
        losses = {
            'loss_cls': loss.class_loss(torch.cat(scores), targets.cls, num_global),
            'loss_patch': loss.patch_loss(student_patch, targets.patches, weight, num_images),
        }
        loss.observe(targets.cls, targets.patch_mean)
        return losses | agreement(targets.cls, student_cls, num_global)

    def _check_masks(self, images: Tensor, mask: Tensor | None) -> None:
        grid = self.backbone.grid_size(*images.shape[-2:])
        if mask is not None and tuple(mask.shape[1:]) != grid:
            raise ConfigError(
                f'The masks have {tuple(mask.shape[1:])} cells, but the backbone makes {grid} tokens of a crop; set '
                'patch_size of PredictionMasks to the pixels that a token stands for (32 for a Swin transformer).'
            )

    def _targets(self, images: Tensor, index: Tensor) -> Targets:
        return self.tokenizer(images, index, with_patch_mean=self.loss_module.center_patches)

    def _student(self, images: Tensor, index: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        tokens = self.backbone.forward_tokens(images, mask)
        cls, patch, _ = self.head.forward_selected(tokens[:, 0], tokens[:, self.backbone.num_prefix_tokens :], index)
        return cls, patch


def _join(targets: Targets, local: Targets, ratio: float) -> Targets:
    """Patch targets of global and local crops; ``ratio``: patches of all local crops over those of all global ones."""
    mean = None
    if targets.patch_mean is not None:
        mean = (targets.patch_mean.float() + ratio * local.patch_mean.float()) / (1 + ratio)
    return Targets('distribution', torch.cat([targets.patches, local.patches]), cls=targets.cls, patch_mean=mean)
