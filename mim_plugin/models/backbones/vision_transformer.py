"""The plain vision transformer of BEiT, DINO and iBOT."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mim_plugin.errors import ConfigError
from mim_plugin.models.backbones.starting_values import STARTS, set_starting_values
from mim_plugin.models.backbones.token_stem import TokenStem
from mim_plugin.models.layers import RelativePositionBias, TransformerBlock
from mim_plugin.registry import MODELS

__all__ = ['ARCHS', 'MIMVisionTransformer']

ARCHS = {
    'tiny': {'embed_dims': 192, 'num_layers': 12, 'num_heads': 3, 'feedforward_channels': 768},
    'small': {'embed_dims': 384, 'num_layers': 12, 'num_heads': 6, 'feedforward_channels': 1536},
    'base': {'embed_dims': 768, 'num_layers': 12, 'num_heads': 12, 'feedforward_channels': 3072},
    'large': {'embed_dims': 1024, 'num_layers': 24, 'num_heads': 16, 'feedforward_channels': 4096},
}
RELATIVE_BIASES = ('shared', 'per_block', 'both', None)
OUT_TYPES = ('featmap', 'raw', 'cls_token', 'avg_featmap')
FINAL_NORMS = ('none', 'last', 'all')


@MODELS.register_module()
class MIMVisionTransformer(TokenStem):
    """A vision transformer that can hide patches, for pretraining and for every task after it.

    Parameter names are those of mmpretrain's ``VisionTransformer``. Images of any size work: one whose
    sides are no multiples of the patch is padded with zeros at the bottom and the right, absolute
    positions and tables of relative ones are resized to its grid. Tokens are, in this order, [CLS], registers,
    patches row by row.

    Args:
        arch: 'tiny', 'small', 'base', 'large', or a dict of ``embed_dims``, ``num_layers``,
            ``num_heads`` and ``feedforward_channels``.
        img_size: Side, or height and width, in pixels: fixes the number of learned positions.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the images.
        num_registers: Learned tokens after [CLS] (arXiv 2309.16588); they have no position.
        pos_embed: 'absolute' (learned), 'sincos' (fixed, in no checkpoint), or None.
        pos_interpolation: How absolute positions are resized, see
            :func:`mim_plugin.models.layers.resize_positions`; 'ibot' is what iBOT and DINO do.
        relative_bias: Learned relative position bias (BEiT): one table ('shared'), one for
            each block ('per_block'), 'both' (added), or None. Made for ``img_size``; for images of another
            size see :func:`mim_plugin.models.layers.resize_bias_table`.
        qkv_bias: 'qkv', 'qv' (no bias for keys, BEiT) or None.
        layer_scale: Start of the learned scale of each branch; not positive = no scale.
        mask_token: Learn a vector that stands for hidden patches.
        init: How parameters start: 'ibot', 'beit' (pretraining) or 'beit_finetune', see
            :data:`mim_plugin.models.backbones.starting_values.STARTS`.
        drop_path_rate: Stochastic depth of the last block; grows linearly from 0 at the first.
        norm_eps: Epsilon of all layer norms.
        out_indices: Blocks (from 0, or negative from the end) whose output :meth:`forward` returns.
        out_type: 'featmap' (B, D, h, w), 'raw' (all tokens), 'cls_token', or 'avg_featmap' (mean of the patches).
        final_norm: Which outputs get the final norm: that of the 'last' block, 'all', or 'none';
            with 'none' the model has no final norm at all.
        mean_pooling: The final norm goes: patches stay as the last block made them, and a norm of
            their mean replaces [CLS] (iBOT's ``use_mean_pooling``, BEiT's fine-tuning).
        frozen_stages: -1 = train all; 0 = freeze the embedding; k = and the first k blocks; the
            number of blocks = and the final norm, that is everything.
        with_cp: Activation checkpointing: compute blocks again in the backward pass instead of
            keeping their activations.
        init_cfg: As in mmengine; ``dict(type='Pretrained', checkpoint=FILE)`` (with ``part='student'``
            or ``prefix=...`` if wanted) reads every kind of file that ``load_pretrained`` knows.

    Raises:
        ConfigError: For values that cannot work.

    Source: An image is worth 16x16 words (arXiv 2010.11929); sizes as iBOT (arXiv 2111.07832).
    """

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        num_registers: int = 0,
        pos_embed: str | None = 'absolute',
        pos_interpolation: str = 'size',
        relative_bias: str | None = None,
        qkv_bias: str | None = 'qkv',
        layer_scale: float = 0.0,
        mask_token: bool = False,
        init: str = 'ibot',
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
        out_indices: int | Sequence[int] = -1,
        out_type: str = 'featmap',
        final_norm: str = 'last',
        mean_pooling: bool = False,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        arch = _arch_settings(arch)
        super().__init__(
            arch['embed_dims'], img_size, patch_size, in_channels, num_registers,
            pos_embed, pos_interpolation, mask_token, init_cfg,
        )  # fmt: skip
        _check_choice('relative_bias', relative_bias, RELATIVE_BIASES)
        _check_choice('out_type', out_type, OUT_TYPES)
        _check_choice('final_norm', final_norm, FINAL_NORMS)
        _check_choice('init', init, tuple(STARTS))
        self.num_layers = arch['num_layers']
        self.out_indices = [self._block_index(i, 'out_indices') for i in _as_sequence(out_indices)]
        self.out_type, self.final_norm, self.mean_pooling = out_type, final_norm, mean_pooling
        self.frozen_stages, self.with_cp = frozen_stages, with_cp
        if not -1 <= frozen_stages <= self.num_layers:
            raise ConfigError(f'frozen_stages={frozen_stages} is not between -1 and the {self.num_layers} blocks.')
        if mean_pooling and final_norm == 'none':
            raise ConfigError("mean_pooling=True norms the mean at the end; use it with final_norm='last'.")

        options = {'norm_eps': norm_eps, 'layer_scale_init': layer_scale, 'qkv_bias': qkv_bias}
        self._make_blocks(arch, relative_bias, drop_path_rate, options)
        no_norm = mean_pooling or final_norm == 'none'
        self.ln1 = nn.Identity() if no_norm else nn.LayerNorm(self.embed_dims, eps=norm_eps)
        self.ln2 = nn.LayerNorm(self.embed_dims, eps=norm_eps) if mean_pooling else nn.Identity()
        set_starting_values(self, STARTS[init])
        self._freeze()

    def _make_blocks(self, arch: dict, relative_bias: str | None, drop_path_rate: float, options: dict) -> None:
        heads, prefix = arch['num_heads'], self.num_prefix_tokens
        shared = relative_bias in ('shared', 'both')
        self.rel_pos_bias = RelativePositionBias(self.train_grid, heads, prefix) if shared else None
        if relative_bias in ('per_block', 'both'):
            options = {**options, 'window': self.train_grid, 'num_prefix': prefix}
        last = max(self.num_layers - 1, 1)
        self.layers = nn.ModuleList(
            TransformerBlock(self.embed_dims, heads, arch['feedforward_channels'], drop_path_rate * i / last, **options)
            for i in range(self.num_layers)
        )

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        frozen = [self.patch_embed, *self.layers[: self.frozen_stages]]
        if self.frozen_stages > 0 and self.rel_pos_bias is not None:
            frozen.append(self.rel_pos_bias)  # training the table of all blocks would change the frozen ones
        if self.frozen_stages == self.num_layers:
            frozen += [self.ln1, self.ln2]
        return frozen

    def _frozen_tokens(self) -> list[nn.Parameter]:
        return self.stem_tokens() if self.frozen_stages >= 0 else []

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features for a task's neck or head.

        Args:
            x: Normalised images ``(B, C, H, W)``.

        Returns:
            One tensor for each of ``out_indices``: (B, D, h, w) for 'featmap', (B, T, D) for
            'raw', (B, D) for 'cls_token' and 'avg_featmap'.
        """
        tokens, grid = self.embed(x)
        outputs = {}
        for i, block_tokens in enumerate(self._blocks(tokens, grid, max(self.out_indices) + 1)):
            if i in self.out_indices:
                is_last = i == self.num_layers - 1
                normed = self.final_norm == 'all' or (self.final_norm == 'last' and is_last)
                outputs[i] = self._format(self._finish(block_tokens) if normed else block_tokens, grid, normed)
        return tuple(outputs[i] for i in self.out_indices)

    def forward_tokens(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """All tokens after the final norm, with some patches hidden if wanted.

        Args:
            x: Normalised images ``(B, C, H, W)``.
            mask: bool ``(B, h, w)``, True = hidden: the mask token takes the patch's place, and its
                position is added as to any other.

        Returns:
            ``(B, T, D)``.

        Raises:
            ConfigError: For a mask without a mask token, or of another shape than the grid.
        """
        outputs = self._blocks(*self.embed(x, mask), self.num_layers)
        last = deque(outputs, maxlen=1)  # holds one block's output at a time
        return self._finish(last[0])

    def intermediate_tokens(self, x: Tensor, n: int, norm: bool = True) -> list[Tensor]:
        """Outputs of the last ``n`` blocks, earliest first.

        Args:
            x: Normalised images ``(B, C, H, W)``.
            n: Number of blocks.
            norm: Pass each through the final norm (which is the identity with ``mean_pooling``).

        Returns:
            ``n`` tensors ``(B, T, D)``.
        """
        if not 1 <= n <= self.num_layers:
            raise ConfigError(f'n={n} last blocks are asked for, but the backbone has {self.num_layers}.')
        first = self.num_layers - n
        outputs = [out for i, out in enumerate(self._blocks(*self.embed(x), self.num_layers)) if i >= first]
        return [self.ln1(out) for out in outputs] if norm else outputs

    def attention_maps(self, x: Tensor, layers: Sequence[int] = (-1,)) -> list[Tensor]:
        """Attention weights of some blocks.

        Args:
            x: Normalised images ``(B, C, H, W)``.
            layers: Blocks, from 0 or negative from the end.

        Returns:
            ``(B, heads, T, T)`` for each block; rows (queries) sum to one.
        """
        wanted = [self._block_index(i, 'layers') for i in layers]
        tokens, grid = self.embed(x)
        bias, last, maps = self._shared_bias(grid), max(wanted), {}
        for i, block in enumerate(self.layers[: last + 1]):
            if i in wanted:
                maps[i] = block.attention_weights(tokens, bias, grid)
            if i < last:
                tokens = block(tokens, bias, grid)
        return [maps[i] for i in wanted]

    def _shared_bias(self, grid: tuple[int, int]) -> Tensor | None:
        return None if self.rel_pos_bias is None else self.rel_pos_bias(grid)

    def _blocks(self, tokens: Tensor, grid: tuple[int, int], count: int) -> Iterator[Tensor]:
        """Yield the output of each of the first ``count`` blocks."""
        bias = self._shared_bias(grid)
        for block in self.layers[:count]:
            if self.with_cp and tokens.requires_grad:
                tokens = checkpoint(block, tokens, bias, grid, use_reentrant=False)
            else:
                tokens = block(tokens, bias, grid)
            yield tokens

    def _finish(self, tokens: Tensor) -> Tensor:
        """The final norm, or with mean pooling the normed mean of the patches in place of [CLS]."""
        if not self.mean_pooling:
            return self.ln1(tokens)
        pooled = self.ln2(tokens[:, self.num_prefix_tokens :].mean(1, keepdim=True))
        return torch.cat([pooled, tokens[:, 1:]], dim=1)

    def _format(self, tokens: Tensor, grid: tuple[int, int], normed: bool) -> Tensor:
        """Bring tokens to ``out_type``."""
        if self.out_type == 'raw':
            return tokens
        if self.out_type == 'cls_token' or (self.out_type == 'avg_featmap' and self.mean_pooling and normed):
            return tokens[:, 0]
        patches = tokens[:, self.num_prefix_tokens :]
        if self.out_type == 'avg_featmap':
            return patches.mean(1)
        return patches.transpose(1, 2).unflatten(2, grid).contiguous()

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """The depth of a parameter, for layer-wise learning rates, by mmpretrain's convention.

        Args:
            param_name: Full name of the parameter.
            prefix: What stands before this backbone's own names, such as ``'backbone.'``.

        Returns:
            Depth and number of depths: 0 for tokens, positions and patch embedding, ``i + 1`` for block ``i``,
            the last one for everything else (final norm, shared bias table, other modules).
        """
        num_depths = self.num_layers + 2
        first, *rest = param_name.removeprefix(prefix).split('.')
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        if first in ('cls_token', 'reg_token', 'mask_token', 'pos_embed', 'patch_embed'):
            return 0, num_depths
        if first == 'layers':
            return int(rest[0]) + 1, num_depths
        return num_depths - 1, num_depths

    def _block_index(self, index: int, key: str) -> int:
        if not -self.num_layers <= index < self.num_layers:
            raise ConfigError(f'{key} names block {index}, but the backbone has {self.num_layers} blocks.')
        return index % self.num_layers


def _check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise ConfigError(f'{name}={value!r} is unknown; use one of {choices}.')


def _arch_settings(arch: str | dict) -> dict[str, int]:
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ConfigError(f'arch={arch!r} is unknown; use one of {sorted(ARCHS)} or a dict of the sizes.')
        return ARCHS[arch]
    if set(arch) != set(ARCHS['base']):
        raise ConfigError(f'arch has the keys {sorted(arch)} instead of {sorted(ARCHS["base"])}.')
    return dict(arch)


def _as_sequence(value: int | Sequence[int]) -> Sequence[int]:
    return [value] if isinstance(value, int) else value
