"""DINO: self-distillation of [CLS], and two ways to add a term of patches without hiding any."""

from __future__ import annotations

import torch
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.models.algorithms.self_distillation import SelfDistillation, agreement
from mim_plugin.models.losses.matching import match_by_feature
from mim_plugin.registry import MODELS

__all__ = ['DINO', 'DenseDINO']

MATCHINGS = ('position', 'feature')


@MODELS.register_module()
class DINO(SelfDistillation):
    """iBOT without the patch term: [CLS] across views, no patch is hidden or projected.

    Parts and arguments: see :class:`SelfDistillation`. The pipeline has no ``PredictionMasks``, the
    backbone no mask token.

    Raises:
        ConfigError: The parts or the pipeline are those of masked image modeling.

    Source: DINO (arXiv 2104.14294), Algorithm 1.
    """

    scores_patches = False

    def check_parts(self) -> None:
        """Refuse parts that would not learn."""
        super().check_parts()
        if getattr(self.backbone, 'mask_token', None) is not None:
            raise ConfigError(
                f'{type(self).__name__} hides no patches, so a mask token would never learn; remove mask_token=True '
                'from model.backbone.'
            )
        if not (self.head.shared or self.scores_patches):
            raise ConfigError(f'{type(self).__name__} scores no patches; remove shared=False from model.head.')

    def loss(self, views: dict) -> dict[str, Tensor]:
        """The [CLS] term of one batch, and the agreement of teacher and student.

        Args:
            views: See :class:`MIMDataPreprocessor`.

        Returns:
            ``loss_cls`` (weighted, nats) and ``acc``, see :func:`agreement`.
        """
        refuse_masks(self, views)
        teacher = self.tokenizer(views['global']).cls
        cls_tokens = [self.backbone.forward_tokens(views[size])[:, 0] for size in sizes_of(views)]
        student = self.head(torch.cat(cls_tokens))
        losses = {'loss_cls': self.loss_module.class_loss(student, teacher, views['num_global'])}
        self.loss_module.observe(teacher)
        return losses | agreement(teacher, student, views['num_global'])


@MODELS.register_module()
class DenseDINO(DINO):
    """DINO, and self-distillation between patches of two global crops that show the same.

    Every global crop is compared with the next one (the last with the first), so two crops give both
    directions. The teacher's scores of the partner are the target of the student's scores of a patch, with the
    patch centre and the patch temperature of iBOT.

    Args:
        backbone: See :class:`SelfDistillation`.
        head: The same; as in iBOT the prototypes may be separate.
        matching: 'position': the patch of the other crop that covers the centre of this patch in the image;
            patches outside of the other crop have none (the pipeline needs ``MatchPatches``). 'feature': the
            patch of the other crop whose token in the teacher's backbone has the highest cosine with this
            patch's token in the student's; every patch has one.
        tokenizer: See :class:`SelfDistillation`.
        loss: The same.
        data_preprocessor: The same.
        init_cfg: The same.

    Raises:
        ConfigError: ``matching`` is unknown, or the pipeline does not fit it.

    Source: iBOT (arXiv 2111.07832), "DINO + pos." and "DINO + feat." of the appendix. It states the idea and
    no formula: which patch is compared with which, and the mean over the matched patches of an image, are ours.
    """

    scores_patches = True

    def __init__(
        self,
        backbone: dict,
        head: dict,
        matching: str,
        tokenizer: dict | None = None,
        loss: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if matching not in MATCHINGS:
            raise ConfigError(f'matching={matching!r} of model is unknown; use one of {MATCHINGS}.')
        super().__init__(backbone, head, tokenizer, loss, data_preprocessor, init_cfg)
        self.matching = matching

    def loss(self, views: dict) -> dict[str, Tensor]:
        """Both terms of one batch, and the agreement of teacher and student.

        Args:
            views: See :class:`MIMDataPreprocessor`.

        Returns:
            ``loss_cls`` and ``loss_patch`` (weighted, nats) and ``acc``, see :func:`agreement`.
        """
        refuse_masks(self, views)
        images, num_global, loss = views['global'], views['num_global'], self.loss_module
        prefix = self.backbone.num_prefix_tokens
        with torch.no_grad():
            teacher_tokens = self.tokenizer.backbone.forward_tokens(images)
        tokens = self.backbone.forward_tokens(images)
        index, partner, weight = self._pairs(views, tokens[:, prefix:], teacher_tokens[:, prefix:])
        targets = self.tokenizer.score(teacher_tokens, partner, loss.center_patches)

        cls = tokens[:, 0]
        if views['local'] is not None:
            cls = torch.cat([cls, self.backbone.forward_tokens(views['local'])[:, 0]])
        student, patches, _ = self.head.forward_selected(cls, tokens[:, prefix:], index)
        losses = {
            'loss_cls': loss.class_loss(student, targets.cls, num_global),
            'loss_patch': loss.patch_loss(patches, targets.patches, weight, len(images)),
        }
        loss.observe(targets.cls, targets.patch_mean)
        return losses | agreement(targets.cls, student, num_global)

    def _pairs(self, views: dict, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the patches and of their partners in the flattened ``G * B * N``, and weights."""
        if views['num_global'] < 2:
            raise ConfigError('DenseDINO compares two crops; set global_crops=2 of MultiCrop in train_pipeline.')
        if self.matching == 'position':
            if 'match_index' not in views:
                raise ConfigError(
                    "matching='position' needs to know where the crops lie; add MatchPatches to train_pipeline, "
                    'after MultiCrop.'
                )
            return views['match_index'], views['match_partner'], views['match_weight']
        crops, patches = student.shape[:2]
        index = torch.arange(crops * patches, device=student.device)
        partner = match_by_feature(student.detach(), teacher, crops // views['num_global']).flatten()
        return index, partner, torch.full((crops * patches,), 1 / patches, device=student.device)


def sizes_of(views: dict) -> list[str]:
    """Keys of the crops of a batch, global ones first."""
    return ['global'] if views['local'] is None else ['global', 'local']


def refuse_masks(model: SelfDistillation, views: dict) -> None:
    """Raise a ConfigError for masks that nothing would be done with."""
    if views['mask'] is not None:
        raise ConfigError(
            f'{type(model).__name__} hides no patches, but the batch has masks; remove PredictionMasks from '
            'train_pipeline, or set model.type to IBOT.'
        )
