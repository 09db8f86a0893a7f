"""Self-distillation between a student and its EMA teacher (DINO, iBOT)."""

from __future__ import annotations

import torch
from mmengine import dist
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS

PATCH_TARGETS = ('soft', 'hard')


@MODELS.register_module()
class SelfDistillationLoss(nn.Module):
    """Cross-entropy of the student against the centred and sharpened teacher.

    Views are crop-major: rows ``0..B-1`` belong to the first crop, and so on;
    global crops come first. All computation is in float32.

    The teacher temperatures are plain numbers which a hook sets every epoch.
    Centres move once an optimizer step: :meth:`observe` notes what the teacher
    said, :meth:`update_centers` (after the step) averages it over all
    processes. A loss therefore uses the centres from before its step.

    Args:
        out_dim: Number K of prototypes for [CLS].
        patch_out_dim: Number Kp of prototypes for patches; K when None.
        student_temp: Temperature of the student.
        teacher_temp: Temperature of the teacher for [CLS], until a hook sets it.
        teacher_patch_temp: The same for patches.
        center_momentum: Share of the old centre that stays, [CLS].
        patch_center_momentum: The same for patches.
        cls_weight: Weight lambda_1 of the [CLS] term.
        patch_weight: Weight lambda_2 of the patch term.
        patch_target: 'soft', the teacher's distribution; or 'hard', its likeliest prototype alone.
        center_patches: Off, patch scores are sharpened without being centred.

    Raises:
        ConfigError: ``patch_target`` is unknown.

    Source: iBOT (arXiv 2111.07832), equations 2 and 3, Algorithm 1; Table 18 for the last two options.
    """

    def __init__(
        self,
        out_dim: int = 8192,
        patch_out_dim: int | None = None,
        student_temp: float = 0.1,
        teacher_temp: float = 0.04,
        teacher_patch_temp: float = 0.04,
        center_momentum: float = 0.9,
        patch_center_momentum: float = 0.9,
        cls_weight: float = 1.0,
        patch_weight: float = 1.0,
        patch_target: str = 'soft',
        center_patches: bool = True,
    ) -> None:
        super().__init__()
        if patch_target not in PATCH_TARGETS:
            raise ConfigError(f'patch_target={patch_target!r} of model.loss is unknown; use one of {PATCH_TARGETS}.')
        self.student_temp = student_temp
        self.teacher_temp = teacher_temp
        self.teacher_patch_temp = teacher_patch_temp
        self.center_momentum = center_momentum
        self.patch_center_momentum = patch_center_momentum
        self.cls_weight = cls_weight
        self.patch_weight = patch_weight
        self.hard_patches = patch_target == 'hard'
        self.center_patches = center_patches
        self.register_buffer('center', torch.zeros(1, out_dim))
        self.register_buffer('center2', torch.zeros(1, 1, patch_out_dim or out_dim))
        self._observed: list[Tensor] = []

    def class_loss(self, student: Tensor, teacher: Tensor, num_global: int) -> Tensor:
        """Mean cross-entropy over all pairs of a teacher view and another student view.

        Args:
            student: Scores of all V crops, ``(V * B, K)``.
            teacher: Scores of the G global crops, ``(G * B, K)``.
            num_global: G.

        Returns:
            Scalar in nats, weighted; 0 when there is only one view.
        """
        batch = len(teacher) // num_global
        log_prob = (student.float() / self.student_temp).log_softmax(-1).view(-1, batch, student.shape[-1])
        prob = ((teacher.float() - self.center) / self.teacher_temp).softmax(-1).view(num_global, batch, -1)
        # Sum over v != q of log_prob[v] for every q, without a loop over pairs.
        others = log_prob.sum(0, keepdim=True) - log_prob[:num_global]
        num_pairs = max(1, num_global * (len(log_prob) - 1))
        return -(prob * others).sum() / (batch * num_pairs) * self.cls_weight

    def patch_loss(self, student: Tensor, teacher: Tensor, weight: Tensor, num_images: int) -> Tensor:
        """Mean over images of the mean cross-entropy over the hidden patches.

        Args:
            student: Scores of the hidden patches, ``(M, Kp)``.
            teacher: Scores of the same patches, seen, ``(M, Kp)``.
            weight: One over the number of hidden patches of the patch's image, ``(M,)``.
            num_images: Global crops in the batch, those without hidden patch included.

        Returns:
            Scalar in nats, weighted; 0 with zero gradient when nothing is hidden.
        """
        log_prob = (student.float() / self.student_temp).log_softmax(-1)
        scores = teacher.float() - self.center2[0] if self.center_patches else teacher.float()
        if self.hard_patches:
            entropy = -log_prob.gather(-1, scores.argmax(-1, keepdim=True)).squeeze(-1)
        else:
            entropy = -((scores / self.teacher_patch_temp).softmax(-1) * log_prob).sum(-1)
        return (entropy * weight).sum() / num_images * self.patch_weight

    @torch.no_grad()
    def observe(self, cls_scores: Tensor, patch_mean: Tensor | None = None) -> None:
        """Note the teacher's scores of one batch for the next move of the centres.

        Args:
            cls_scores: ``(G * B, K)``.
            patch_mean: Mean score over all patches that the teacher saw, ``(1, Kp)``; None where
                patches are not centred, always or never within a run.
        """
        patches = [] if patch_mean is None else [patch_mean.float()[0]]
        self._observed.append(torch.cat([cls_scores.float().mean(0), *patches]))

    @torch.no_grad()
    def update_centers(self) -> None:
        """Move the centres towards the mean of what was observed, over all processes."""
        if not self._observed:
            return
        mean = torch.stack(self._observed).mean(0)
        self._observed.clear()
        dist.all_reduce(mean, op='mean')
        cls_mean, patch_mean = mean.tensor_split([self.center.numel()])
        self.center.lerp_(cls_mean.view_as(self.center), 1 - self.center_momentum)
        if len(patch_mean):
            self.center2.lerp_(patch_mean.view_as(self.center2), 1 - self.patch_center_momentum)
