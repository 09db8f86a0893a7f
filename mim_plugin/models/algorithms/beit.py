"""BEiT: masked image modeling with an offline tokenizer."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.models.heads.base import PatchHead
from mim_plugin.models.tokenizers import FrozenTokenizer, Targets
from mim_plugin.models.tokenizers.base import forget_frozen_tokenizer, frozen_prefixes
from mim_plugin.registry import MODELS

__all__ = ['BEiT', 'build_patch_head', 'build_tokenizer', 'check_grid']

PREDICTED = ('hidden', 'all')
_DEFAULT_HEADS = {'ids': 'TokenClassificationHead', 'values': 'PatchRegressionHead'}


@MODELS.register_module()
class BEiT(BaseModel):
    """A transformer predicts what a frozen tokenizer says about hidden patches.

    It wires parts: :attr:`backbone` sees the masked image, :attr:`tokenizer` the whole one,
    :attr:`head` compares. The tokenizer is frozen: it is neither optimised nor saved.

    Args:
        backbone: Config of a ``MIMVisionTransformer`` with ``mask_token=True``, or of another class
            with ``forward_tokens(images, mask=None)``, ``embed_dims`` and ``num_prefix_tokens``.
        tokenizer: Config of a :class:`FrozenTokenizer`.
        head: Config of a :class:`PatchHead`; type, ``in_dim`` and the number of codes or values default
            to what backbone and tokenizer need.
        predict: 'hidden' patches enter the loss, or 'all' (BEiT Table 4, "recover 100 % tokens").
        data_preprocessor: Config of a ``MIMDataPreprocessor``.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` starts backbone and head from a file.

    Raises:
        ConfigError: Parts that do not fit each other.

    Source: BEiT (arXiv 2106.08254), section 2.3 and equation 1.
    """

    def __init__(
        self,
        backbone: dict,
        tokenizer: dict,
        head: dict | None = None,
        predict: str = 'hidden',
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        preprocessor = {'type': 'MIMDataPreprocessor', 'with_target': True, **(data_preprocessor or {})}
        # Built here because mmengine would look in its own registry only, unless a scope is set.
        super().__init__(MODELS.build(preprocessor), init_cfg)
        if predict not in PREDICTED:
            raise ConfigError(f'predict={predict!r} is unknown; use one of {PREDICTED}.')
        self.predict_all = predict == 'all'
        self.backbone = MODELS.build(backbone)
        self.tokenizer = build_tokenizer(tokenizer)
        self.head = build_patch_head(head, self.backbone.embed_dims, self.tokenizer)
        leave_out_of_buckets(self)
        self.register_load_state_dict_post_hook(forget_frozen_tokenizer)

    def init_weights(self) -> None:
        """Load the tokenizer; initialise the student, or load ``init_cfg``'s file into it."""
        self.tokenizer.init_weights()
        if self.init_cfg and self.init_cfg['type'] == 'Pretrained':
            from mim_plugin.checkpoints import load_pretrained

            load_pretrained(self, self.init_cfg['checkpoint'])
        else:
            # Start values are drawn at construction; the backbone may name a file of its own.
            self.backbone.init_weights()
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
        return self.loss(inputs) if mode == 'loss' else self.extract_feat(inputs)

    @torch.no_grad()
    def extract_feat(self, images: Tensor) -> Tensor:
        """Mean of the patch tokens after the final norm, ``(B, D)``: BEiT trains no [CLS]."""
        return self.backbone.forward_tokens(images)[:, self.backbone.num_prefix_tokens :].mean(1)

    def loss(self, views: dict) -> dict[str, Tensor]:
        """``loss_mim`` and the head's figures for one batch.

        Args:
            views: See :class:`MIMDataPreprocessor`.
        """
        tokens = self.backbone.forward_tokens(views['global'], views['mask'])
        patches = tokens[:, self.backbone.num_prefix_tokens :]
        index = None if self.predict_all else views['mask_index']
        return self.head.loss(patches, self.targets(views), index)

    def targets(self, views: dict) -> Targets:
        """What the tokenizer says: from its view of the images, or ids that were made before."""
        return make_targets(self.tokenizer, views)

    @torch.no_grad()
    def predict_patches(self, views: dict) -> Tensor:
        """Predictions of all patches, ``(B, N, K)`` scores or ``(B, N, Dv)`` values, of masked images."""
        tokens = self.backbone.forward_tokens(views['global'], views['mask'])
        return self.head.predict(tokens[:, self.backbone.num_prefix_tokens :])


def build_tokenizer(config: dict) -> FrozenTokenizer:
    """Build a frozen tokenizer and switch its gradients off."""
    tokenizer = MODELS.build(config)
    if not isinstance(tokenizer, FrozenTokenizer):
        raise ConfigError(
            f'{type(tokenizer).__name__} is not a frozen tokenizer, which BEiT needs; '
            'see docs/tokenizers.md for those that exist.'
        )
    return tokenizer.freeze()


def build_patch_head(config: dict | None, width: int, tokenizer: FrozenTokenizer) -> PatchHead:
    """Build the head for a tokenizer; what the config leaves out follows from tokenizer and width."""
    size = {'ids': 'vocabulary_size', 'values': 'value_dims'}[tokenizer.kind]
    defaults = {'type': _DEFAULT_HEADS[tokenizer.kind], 'in_dim': width}
    head_type = (config or {}).get('type', defaults['type'])
    if str(head_type).endswith(defaults['type']):
        defaults[size] = getattr(tokenizer, size)
    head = MODELS.build(defaults | dict(config or {}))
    head.check_targets(tokenizer)
    return head


def make_targets(tokenizer: FrozenTokenizer, views: dict) -> Targets:
    """Targets of the views of a batch, on the grid of its hidden patches.

    Raises:
        ConfigError: The tokenizer's grid is not the grid of patches.
    """
    ids = views.get('ids')
    targets = Targets('ids', ids) if ids is not None else tokenizer(views['target'])
    check_grid(targets, views, tokenizer)
    return targets


def check_grid(targets: Targets, views: dict, tokenizer: FrozenTokenizer) -> None:
    """Raise a ConfigError unless there is one target for each patch of the masks."""
    grid, mask = tuple(targets.patches.shape[1:3]), views['mask']
    if mask is None:
        raise ConfigError('The batch has no masks; add BEiTMasks to train_pipeline, before PackViews.')
    if grid != tuple(mask.shape[1:]):
        shown = 'cached ids' if views.get('ids') is not None else f'images of {tuple(views["target"].shape[2:])} pixels'
        raise ConfigError(
            f'{type(tokenizer).__name__} makes a grid of {grid} targets from {shown}, but the masks hide cells of a '
            f'grid of {tuple(mask.shape[1:])}; set target_size of the crop so that both are equal.'
        )


def leave_out_of_buckets(model: nn.Module) -> None:
    """Tell DistributedDataParallel not to send the frozen tokenizer of ``model`` around."""
    prefixes = frozen_prefixes(model)
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers()) if name.startswith(prefixes)]
    model._ddp_params_and_buffers_to_ignore = names
