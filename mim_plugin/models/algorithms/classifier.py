"""Classification of whole images."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.registry import MODELS

__all__ = ['MIMClassifier']


@MODELS.register_module()
class MIMClassifier(BaseModel):
    """A backbone and one linear layer, to be fine-tuned as a whole.

    The layer reads the first token: the final norm of [CLS], or with ``mean_pooling=True`` of the
    backbone the norm of the mean patch.

    Args:
        backbone: Config of a ``MIMVisionTransformer`` (BEiT: ``mean_pooling=True, init='beit_finetune'``).
        num_classes: Number K of classes.
        label_smoothing: Share of the target that is spread over all classes; of labels, not of soft targets.
        init_scale: Factor on the starting values of the linear layer.
        data_preprocessor: Config of the preprocessor; defaults to ``MIMDataPreprocessor``.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` loads a fine-tuned classifier, official ones
            too. A pretrained backbone is named by ``backbone.init_cfg``.

    Source: BEiT (arXiv 2106.08254), section 2.6; pooling, norm and scale of the layer as its published code.
    """

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        label_smoothing: float = 0.0,
        init_scale: float = 0.001,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(MODELS.build({'type': 'MIMDataPreprocessor', **(data_preprocessor or {})}), init_cfg)
        if num_classes < 1 or not 0 <= label_smoothing < 1:
            raise ConfigError(
                f'MIMClassifier got num_classes={num_classes}, label_smoothing={label_smoothing}; give at least one '
                'class and a share in [0, 1).'
            )
        self.backbone = MODELS.build(backbone)
        self.head = nn.Linear(self.backbone.embed_dims, num_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        self.head.weight.data.mul_(init_scale)
        nn.init.zeros_(self.head.bias)
        self.label_smoothing = label_smoothing

    def init_weights(self) -> None:
        """Load ``init_cfg``'s file into the whole, or let the backbone load its own."""
        if self.init_cfg and self.init_cfg['type'] == 'Pretrained':
            self._load_fine_tuned(self.init_cfg['checkpoint'])
        else:
            self.backbone.init_weights()
        self._is_init = True

    def _load_fine_tuned(self, checkpoint: str) -> None:
        from mim_plugin.checkpoints import load_pretrained

        try:
            load_pretrained(self, checkpoint)
        except CheckpointError as error:
            raise CheckpointError(
                f'{error} model.init_cfg is for a fine-tuned classifier; if the file holds a pretrained backbone, '
                'name it in model.backbone.init_cfg.'
            ) from error

    def extract_feat(self, images: Tensor) -> Tensor:
        """What the linear layer reads, ``(B, D)``."""
        return self.backbone.forward_tokens(images)[:, 0]

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """mmengine's entry point.

        Args:
            inputs: Normalised images ``(B, C, H, W)``.
            data_samples: One an image; for mode 'loss' with ``gt_label`` (an index), or with ``gt_score``
                ``(K,)`` where images are mixed.
            mode: 'loss', 'predict', or 'tensor' for scores.

        Returns:
            A dict of loss and ``acc_top1``; the samples with ``pred_score`` and ``pred_label``; or scores ``(B, K)``.
        """
        scores = self.head(self.extract_feat(inputs))
        if mode == 'loss':
            return self.loss(scores, self._targets(data_samples, scores.device))
        if mode == 'predict':
            samples = data_samples or [BaseDataElement() for _ in scores]
            for sample, score in zip(samples, scores.softmax(-1)):
                sample.pred_score, sample.pred_label = score, score.argmax()
            return samples
        return scores

    def loss(self, scores: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy, a mean over the batch.

        Args:
            scores: ``(B, K)``.
            targets: Labels ``(B,)`` int64, or soft targets ``(B, K)``.
        """
        if targets.is_floating_point():
            return {'loss': F.cross_entropy(scores.float(), targets)}
        right = (scores.detach().argmax(-1) == targets).float().mean() * 100
        loss = F.cross_entropy(scores.float(), targets, label_smoothing=self.label_smoothing)
        return {'loss': loss, 'acc_top1': right}

    @staticmethod
    def _targets(samples: list | None, device: torch.device) -> Tensor:
        key = 'gt_score' if samples and 'gt_score' in samples[0] else 'gt_label'
        if not samples or key not in samples[0]:
            raise ConfigError('MIMClassifier got images without labels; let the pipeline end in PackImage.')
        targets = torch.stack([torch.as_tensor(sample.get(key)).squeeze() for sample in samples])
        return targets.to(device)
