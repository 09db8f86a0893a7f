"""The online tokenizer of iBOT: an exponential moving average of the student."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mim_plugin.models.tokenizers.base import Targets
from mim_plugin.registry import MODELS


@MODELS.register_module()
class EMATeacher(nn.Module):
    """Backbone and head that follow the student's parameters.

    It sees whole images, has no gradient and no drop path, and stays in the mode
    of the training run (which matters for batch norm in the head only). Buffers
    are its own: only parameters are averaged.

    Args:
        backbone: Config of the student's backbone, without mask token.
        head: Config of the head. The prototypes may be shared between [CLS] and
            patches although the student's are not (semi-shared, iBOT Table 17):
            parameters pair by name, so the teacher's then follow the student's
            [CLS] prototypes, after a start at the student's patch prototypes.
            In the reverse case, a shared student and a separate teacher, the
            teacher's patch prototypes have no partner and keep their start.
    """

    def __init__(self, backbone: dict, head: dict) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        self.requires_grad_(False)
        self._pairs: tuple[list[Tensor], list[Tensor]] | None = None

    @torch.no_grad()
    def forward(self, images: Tensor, patch_index: Tensor | None = None, with_patch_mean: bool = True) -> Targets:
        """Scores of [CLS], of the selected patches, and their mean over all patches.

        Args:
            images: Normalised crops, ``(B, C, H, W)``.
            patch_index: ``(M,)`` positions in the flattened ``B * N`` patches; None = [CLS] alone.
            with_patch_mean: Also score the mean patch, for a centre.

        Returns:
            Targets of kind 'distribution'.
        """
        tokens = self.backbone.forward_tokens(images)
        if patch_index is None:
            cls = self.head(tokens[:, 0])
            return Targets('distribution', cls.new_zeros(0, self.head.patch_out_dim), cls=cls)
        return self.score(tokens, patch_index, with_patch_mean)

    @torch.no_grad()
    def score(self, tokens: Tensor, patch_index: Tensor, with_patch_mean: bool = True) -> Targets:
        """The same for tokens ``(B, T, D)`` of the teacher's backbone."""
        cls, patches, mean = self.head.forward_selected(
            tokens[:, 0], tokens[:, self.backbone.num_prefix_tokens :], patch_index, with_patch_mean
        )
        return Targets('distribution', patches, cls=cls, patch_mean=mean)

    @torch.no_grad()
    def copy_from(self, backbone: nn.Module, head: nn.Module) -> None:
        """Start at the student's parameters and buffers."""
        self.backbone.load_state_dict(_fitting(backbone, self.backbone))
        self.head.load_state_dict(_fitting(head, self.head), strict=False)
        # As published, the student's patch prototypes are loaded last.
        self.head.patch_layer.load_state_dict(head.patch_layer.state_dict())

    @torch.no_grad()
    def update(self, backbone: nn.Module, head: nn.Module, momentum: float) -> None:
        """Move every parameter: ``teacher = momentum * teacher + (1 - momentum) * student``."""
        if self._pairs is None:
            student = {f'{part}.{name}': p for part, m in (('backbone', backbone), ('head', head))
                       for name, p in m.named_parameters()}  # fmt: skip
            pairs = [(p, student[name]) for name, p in self.named_parameters() if name in student]
            self._pairs = ([t for t, _ in pairs], [s for _, s in pairs])
        teacher, student_params = self._pairs
        torch._foreach_mul_(teacher, momentum)
        torch._foreach_add_(teacher, student_params, alpha=1 - momentum)


def _fitting(student: nn.Module, teacher: nn.Module) -> dict[str, Tensor]:
    wanted = teacher.state_dict().keys()
    return {name: value for name, value in student.state_dict().items() if name in wanted}
