"""iBOT: masked image modeling with an online tokenizer."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS


@MODELS.register_module()
class IBOT(BaseModel):
    """A student predicts what its EMA teacher sees: [CLS] across views, hidden patches within a view.

    It wires parts. The student is :attr:`backbone` and :attr:`head`, the teacher
    ``tokenizer.backbone`` and ``tokenizer.head``; :attr:`loss_module` holds the centres.
    Once an optimizer step, :meth:`update_teacher` must be called (``MomentumTeacherHook``
    does), and once an epoch the temperatures are set (``SelfDistillationScheduleHook``).

    Args:
        backbone: Config of the student's backbone, a ``MIMVisionTransformer`` or
            another class with ``forward_tokens(images, mask=None)`` and ``num_prefix_tokens``.
        head: Config of a ``ProjectionHead``; ``in_dim`` defaults to the backbone's width.
        tokenizer: Config of the teacher. What it does not say is taken from the
            student; the teacher has no mask token, drop path or checkpointing.
        loss: Config of a ``SelfDistillationLoss``; the widths default to the heads'.
        data_preprocessor: Config of a ``MIMDataPreprocessor``.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` starts both networks from a file.

    Source: iBOT (arXiv 2111.07832), section 3 and Algorithm 1.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        tokenizer: dict | None = None,
        loss: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        # Built here because mmengine would look in its own registry only, unless a scope is set.
        super().__init__(MODELS.build({'type': 'MIMDataPreprocessor', **(data_preprocessor or {})}), init_cfg)
        tokenizer, loss = dict(tokenizer or {}), dict(loss or {})
        self.backbone = MODELS.build(backbone)
        head = {'type': 'ProjectionHead', 'in_dim': self.backbone.embed_dims, **head}
        self.head = MODELS.build(head)
        self.tokenizer = MODELS.build(
            {
                'type': 'EMATeacher',
                **tokenizer,
                'backbone': _teacher_backbone(backbone) | dict(tokenizer.get('backbone', {})),
                'head': head | dict(tokenizer.get('head', {})),
            }
        )
        # The two patch widths differ only for unshared heads of another width.
        self.loss_module = MODELS.build(
            {
                'type': 'SelfDistillationLoss',
                'out_dim': self.head.out_dim,
                'patch_out_dim': self.head.patch_out_dim,
                **loss,
            }
        )
        if self.head.patch_out_dim != self.tokenizer.head.patch_out_dim:
            raise ConfigError(
                f'The student scores patches with {self.head.patch_out_dim} prototypes, the teacher with '
                f"{self.tokenizer.head.patch_out_dim}; set head.patch_out_dim to the teacher's number."
            )
        self.tokenizer.copy_from(self.backbone, self.head)
        self.register_load_state_dict_post_hook(_start_teacher)

    def init_weights(self) -> None:
        """Initialise the student and start the teacher as its copy, or load ``init_cfg``'s file into both."""
        if self.init_cfg and self.init_cfg['type'] == 'Pretrained':
            from mim_plugin.checkpoints import load_pretrained

            load_pretrained(self, self.init_cfg['checkpoint'])
        else:
            # Start values are drawn at construction; the backbone may name a file of its own.
            self.backbone.init_weights()
            self.tokenizer.copy_from(self.backbone, self.head)
        self._is_init = True

    def forward(self, inputs: Any, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """mmengine's entry point.

        Args:
            inputs: For mode 'loss' the views of :class:`MIMDataPreprocessor`; else
                normalised images ``(B, C, H, W)``.
            data_samples: Unused.
            mode: 'loss', or 'tensor' / 'predict' for features.

        Returns:
            A dict of losses and logged figures, or features ``(B, D)``.
        """
        if mode == 'loss':
            return self.loss(inputs)
        return self.extract_feat(inputs)

    @torch.no_grad()
    def extract_feat(self, images: Tensor, network: str = 'teacher') -> Tensor:
        """[CLS] after the final norm, ``(B, D)``, of the 'teacher' or the 'student'."""
        backbone = self.tokenizer.backbone if network == 'teacher' else self.backbone
        return backbone.forward_tokens(images)[:, 0]

    def loss(self, views: dict) -> dict[str, Tensor]:
        """Both terms of one batch, and the agreement of teacher and student.

        Args:
            views: See :class:`MIMDataPreprocessor`.

        Returns:
            ``loss_cls`` and ``loss_patch`` (weighted, nats) and ``acc``, the share of images
            whose first crop gets the same [CLS] prototype from the teacher as the second
            crop from the student, in percent.
        """
        num_global, index = views['num_global'], views['mask_index']
        targets = self.tokenizer(views['global'], index)
        student_cls, student_patch = self._student(views['global'], index, views['mask'])
        scores = [student_cls]
        if views['local'] is not None:
            scores.append(self._student(views['local'], index[:0])[0])

        loss = self.loss_module
        losses = {
            'loss_cls': loss.class_loss(torch.cat(scores), targets.cls, num_global),
            'loss_patch': loss.patch_loss(student_patch, targets.patches, views['mask_weight'], len(views['global'])),
        }
        loss.observe(targets.cls, targets.patch_mean)
        if num_global > 1:
            batch = len(targets.cls) // num_global
            same = targets.cls[:batch].argmax(1) == student_cls.detach()[batch : 2 * batch].argmax(1)
            losses['acc'] = same.float().mean() * 100
        return losses

    def _student(self, images: Tensor, index: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        tokens = self.backbone.forward_tokens(images, mask)
        cls, patch, _ = self.head.forward_selected(tokens[:, 0], tokens[:, self.backbone.num_prefix_tokens :], index)
        return cls, patch

    def update_teacher(self, momentum: float) -> None:
        """What follows an optimizer step: centres, then the moving average of the student."""
        self.loss_module.update_centers()
        self.tokenizer.update(self.backbone, self.head, momentum)


def _start_teacher(model: IBOT, incompatible: Any) -> None:
    """After a file with one network (an exported one, as ``load_from``) the teacher is a copy of it."""
    missing = [name for name in incompatible.missing_keys if 'tokenizer.' in name]
    if len(missing) >= len(list(model.tokenizer.parameters())):
        model.tokenizer.copy_from(model.backbone, model.head)
        incompatible.missing_keys[:] = [name for name in incompatible.missing_keys if name not in missing]


def _teacher_backbone(student: dict) -> dict:
    return {**student, 'mask_token': False, 'drop_path_rate': 0.0, 'with_cp': False, 'init_cfg': None}
