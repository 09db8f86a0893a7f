"""BEiT and DINO at once: a frozen tokenizer for hidden patches, self-distillation for [CLS]."""

from __future__ import annotations

import torch
from torch import Tensor

from mim_plugin.models.algorithms.beit import build_patch_head, build_tokenizer, leave_out_of_buckets, make_targets
from mim_plugin.models.algorithms.self_distillation import SelfDistillation, agreement
from mim_plugin.models.tokenizers.base import forget_frozen_tokenizer
from mim_plugin.registry import MODELS

__all__ = ['BEiTDINO']


@MODELS.register_module()
class BEiTDINO(SelfDistillation):
    """The sum of BEiT's loss and DINO's, with one pass of the student for both.

    The student sees global crops with hidden patches: their tokens predict what the frozen
    :attr:`patch_tokenizer` says about the whole crop, the crop's [CLS] what the EMA teacher says about the other
    crops. Of local crops, whole, only [CLS] counts.

    Args:
        backbone: Config of the student's backbone, with ``mask_token=True``.
        head: Config of the ``ProjectionHead`` of [CLS].
        patch_tokenizer: Config of a :class:`FrozenTokenizer`. What it sees of a crop is up to the pipeline:
            ``target_size`` of ``MultiCrop``, or without it the crop itself.
        patch_head: Config of a :class:`PatchHead`; type, ``in_dim`` and number of codes or values default to
            what backbone and tokenizer need.
        tokenizer: Config of the teacher, see :class:`SelfDistillation`.
        loss: Config of a ``SelfDistillationLoss``.
        mim_weight: Weight of the patch term.
        data_preprocessor: Config of a ``MIMDataPreprocessor``.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` starts both networks from a file.

    Raises:
        ConfigError: Parts or views that do not fit each other.

    Source: BEiT (arXiv 2106.08254v1), Table 8; "BEiT + DINO" of iBOT (arXiv 2111.07832), Table 9. Both print results
    only; that the teacher sees whole crops and that the terms are added is taken from iBOT.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        patch_tokenizer: dict,
        patch_head: dict | None = None,
        tokenizer: dict | None = None,
        loss: dict | None = None,
        mim_weight: float = 1.0,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(backbone, head, tokenizer, loss, {'with_target': True, **(data_preprocessor or {})}, init_cfg)
        self.patch_tokenizer = build_tokenizer(patch_tokenizer)
        self.patch_head = build_patch_head(patch_head, self.backbone.embed_dims, self.patch_tokenizer)
        self.mim_weight = mim_weight
        leave_out_of_buckets(self)
        self.register_load_state_dict_post_hook(forget_frozen_tokenizer)

    def init_weights(self) -> None:
        """Load the frozen tokenizer, then start student and teacher."""
        self.patch_tokenizer.init_weights()
        super().init_weights()

    def loss(self, views: dict) -> dict[str, Tensor]:
        """Both terms of one batch and their figures.

        Args:
            views: See :class:`MIMDataPreprocessor`.

        Returns:
            ``loss_cls`` (weighted, nats) and ``acc``, see :func:`agreement`; ``loss_mim`` (weighted) and the
            figures of the patch head.
        """
        targets = make_targets(self.patch_tokenizer, views)
        teacher = self.tokenizer(views['global']).cls
        tokens = self.backbone.forward_tokens(views['global'], views['mask'])
        mim = self.patch_head.loss(tokens[:, self.backbone.num_prefix_tokens :], targets, views['mask_index'])
        mim['loss_mim'] = mim['loss_mim'] * self.mim_weight

        cls = tokens[:, 0]
        if views['local'] is not None:
            cls = torch.cat([cls, self.backbone.forward_tokens(views['local'])[:, 0]])
        student, loss = self.head(cls), self.loss_module
        losses = {'loss_cls': loss.class_loss(student, teacher, views['num_global'])}
        loss.observe(teacher)
        return losses | mim | agreement(teacher, student, views['num_global'])
