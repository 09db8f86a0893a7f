"""What algorithms with a student and its EMA teacher have in common."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mim_plugin.checkpoints.hook import fill_algorithm
from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS

__all__ = ['SelfDistillation', 'agreement']

_OF_THE_TEACHER = re.compile(r'(^|\.)tokenizer\.')


class SelfDistillation(BaseModel):
    """A student that learns from the moving average of itself (base class).

    It wires parts. The student is :attr:`backbone` and :attr:`head`, the teacher
    ``tokenizer.backbone`` and ``tokenizer.head``; :attr:`loss_module` holds the centres.
    Once an optimizer step, :meth:`update_teacher` must be called (``MomentumTeacherHook``
    does), and once an epoch the temperatures are set (``SelfDistillationScheduleHook``).
    A subclass writes :meth:`loss`.

    Args:
        backbone: Config of the student's backbone, a ``MIMVisionTransformer`` or
            another class with ``forward_tokens(images, mask=None)``, ``grid_size(height, width)``
            of the tokens, ``embed_dims`` and ``num_prefix_tokens``.
        head: Config of a ``ProjectionHead``; ``in_dim`` defaults to the backbone's width.
        tokenizer: Config of the teacher. What it does not say is taken from the
            student; the teacher has no mask token, drop path or checkpointing.
        loss: Config of a ``SelfDistillationLoss``; the widths default to the heads'.
        data_preprocessor: Config of a ``MIMDataPreprocessor``.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` starts both networks from a file.

    Attributes:
        started_from: What a file filled at the start: 'nothing', 'backbone' (the heads are new), or 'everything'.
    """

    started_from = 'nothing'

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
        self.check_parts()
        self.tokenizer.copy_from(self.backbone, self.head)
        self.register_load_state_dict_pre_hook(fill_algorithm)
        self.register_load_state_dict_post_hook(_start_teacher)

    def check_parts(self) -> None:
        """Raise a ConfigError for parts that do not fit each other."""
        if self.head.patch_out_dim != self.tokenizer.head.patch_out_dim:
            raise ConfigError(
                f'The student scores patches with {self.head.patch_out_dim} prototypes, the teacher with '
                f"{self.tokenizer.head.patch_out_dim}; set head.patch_out_dim to the teacher's number."
            )

    def init_weights(self) -> None:
        """Initialise the student and start the teacher as its copy, or load ``init_cfg``'s file into both."""
        if self.init_cfg and self.init_cfg['type'] == 'Pretrained':
            from mim_plugin.checkpoints import load_pretrained

            self.note_start(load_pretrained(self, self.init_cfg['checkpoint']).loaded)
        else:
            # Start values are drawn at construction; the backbone may name a file of its own.
            self.backbone.init_weights()
            self.tokenizer.copy_from(self.backbone, self.head)
            self.started_from = 'backbone' if self.backbone.init_cfg else 'nothing'
        self._is_init = True

    def note_start(self, loaded: Iterable[str]) -> None:
        """Keep in mind what a file filled.

        Args:
            loaded: Names of parameters.
        """
        self.started_from = 'everything' if any(name.startswith('head.') for name in loaded) else 'backbone'

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

    @abstractmethod
    def loss(self, views: dict) -> dict[str, Tensor]:
        """Losses and logged figures of one batch.

        Args:
            views: See :class:`MIMDataPreprocessor`.
        """

    def update_teacher(self, momentum: float) -> None:
        """What follows an optimizer step: centres, then the moving average of the student."""
        self.loss_module.update_centers()
        self.tokenizer.update(self.backbone, self.head, momentum)


def agreement(teacher_cls: Tensor, student_cls: Tensor, num_global: int) -> dict[str, Tensor]:
    """How often teacher and student give two crops of an image the same prototype.

    Args:
        teacher_cls: Scores of the global crops, ``(G * B, K)``.
        student_cls: The student's scores, global crops first.
        num_global: G.

    Returns:
        ``acc``, the share of images whose first crop gets the same [CLS] prototype from the
        teacher as the second crop from the student, in percent; nothing for a single crop.
    """
    if num_global < 2:
        return {}
    batch = len(teacher_cls) // num_global
    same = teacher_cls[:batch].argmax(1) == student_cls.detach()[batch : 2 * batch].argmax(1)
    return {'acc': same.float().mean() * 100}


def _start_teacher(model: SelfDistillation, incompatible: Any) -> None:
    """After a file with one network (an exported one, as ``load_from``) the teacher is a copy of it."""
    missing = [name for name in incompatible.missing_keys if _OF_THE_TEACHER.search(name)]
    if len(missing) >= len(list(model.tokenizer.parameters())):
        model.tokenizer.copy_from(model.backbone, model.head)
        incompatible.missing_keys[:] = [name for name in incompatible.missing_keys if name not in missing]


def _teacher_backbone(student: dict) -> dict:
    return {**student, 'mask_token': False, 'drop_path_rate': 0.0, 'with_cp': False, 'init_cfg': None}
