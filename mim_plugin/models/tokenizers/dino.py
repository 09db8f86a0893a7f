"""The prototypes of a trained DINO or iBOT as codes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mim_plugin.errors import CheckpointError
from mim_plugin.models.tokenizers.base import FrozenTokenizer
from mim_plugin.models.tokenizers.features.base import channel_statistics
from mim_plugin.models.tokenizers.kmeans import argmax_scores
from mim_plugin.models.tokenizers.patches import patch_grid
from mim_plugin.registry import MODELS

__all__ = ['DINOTokenizer']


@MODELS.register_module()
class DINOTokenizer(FrozenTokenizer):
    """A frozen network with projection head; the code of a patch is its best prototype.

    Args:
        encoder: Config of a ``MIMVisionTransformer``.
        head: Config of a ``ProjectionHead``; ``in_dim`` defaults to the width of the encoder.
        checkpoint: A training checkpoint of ours, or a full official one (``checkpoint.pth``) of DINO or iBOT;
            a file of the backbone alone lacks the prototypes.
        part: 'teacher' or 'student'.
        mean: Mean a channel in grey values, as in training of the checkpoint.
        std: Standard deviation a channel in grey values.

    Source: "standalone DINO" of iBOT (arXiv 2111.07832), Tables 9 and 20 and appendix F.
    """

    without_file = 'put a full checkpoint of DINO or iBOT there'

    def __init__(
        self,
        encoder: dict,
        head: dict | None = None,
        checkpoint: str | None = None,
        part: str = 'teacher',
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__(checkpoint)
        self.part = part
        # Not `backbone`: that is the name of the network which follows the student in online tokenizers.
        self.encoder = MODELS.build({'type': 'MIMVisionTransformer', **encoder})
        self.head = MODELS.build({'type': 'ProjectionHead', 'in_dim': self.encoder.embed_dims, **(head or {})})
        self.vocabulary_size = self.head.patch_out_dim
        self.patch_size = encoder.get('patch_size', 16)
        self.register_buffer('mean', channel_statistics(mean), persistent=False)
        self.register_buffer('std', channel_statistics(std), persistent=False)

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """One code a patch of the encoder."""
        return patch_grid(image_size, self.patch_size, 'DINOTokenizer')

    def load_checkpoint(self, checkpoint: str) -> None:
        """Read encoder and head."""
        from mim_plugin.checkpoints import contents_of, load_pretrained, read_checkpoint

        networks = contents_of(read_checkpoint(checkpoint))
        if not any(name.startswith('head.mlp') for name in getattr(networks, self.part)):
            raise CheckpointError(
                f'{checkpoint} has no projection head, whose prototypes are the codes; name a full checkpoint of DINO '
                'or iBOT in tokenizer.checkpoint.'
            )
        for module in (self.encoder, self.head):
            load_pretrained(module, checkpoint, part=self.part)

    def encode(self, images: Tensor) -> Tensor:
        """Ids ``(B, h, w)`` of the prototypes with the greatest scores."""
        grid = self.grid_size(images.shape[2:])
        tokens = self.encoder.forward_tokens((images - self.mean) / self.std)
        patches = self.head.embed(tokens[:, self.encoder.num_prefix_tokens :].flatten(0, 1))
        layer = self.head.patch_layer
        return argmax_scores(patches, layer.weight, getattr(layer, 'bias', None)).view(len(images), *grid)
