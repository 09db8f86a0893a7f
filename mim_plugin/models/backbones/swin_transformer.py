"""The Swin transformer of iBOT: windows, four stages, and patches that can be hidden."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.init import trunc_normal_
from torch.utils.checkpoint import checkpoint

from mim_plugin.errors import ConfigError
from mim_plugin.models.backbones.base import MIMBackbone
from mim_plugin.models.layers import PatchEmbed, PatchMerging, SwinBlock
from mim_plugin.registry import MODELS

__all__ = ['SWIN_ARCHS', 'MIMSwinTransformer']

SWIN_ARCHS = {
    'tiny': {'embed_dims': 96, 'depths': (2, 2, 6, 2), 'num_heads': (3, 6, 12, 24)},
    'small': {'embed_dims': 96, 'depths': (2, 2, 18, 2), 'num_heads': (3, 6, 12, 24)},
    'base': {'embed_dims': 128, 'depths': (2, 2, 18, 2), 'num_heads': (4, 8, 16, 32)},
    'large': {'embed_dims': 192, 'depths': (2, 2, 18, 2), 'num_heads': (6, 12, 24, 48)},
}


class SwinStage(nn.Module):
    """Blocks of one width, and the merging that leads to the next stage.

    Args:
        blocks: The blocks.
        downsample: The merging; None for the last stage.
    """

    def __init__(self, blocks: Sequence[SwinBlock], downsample: PatchMerging | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample


@MODELS.register_module()
class MIMSwinTransformer(MIMBackbone):
    """A Swin transformer that can hide patches, for pretraining and for every task after it.

    Parameter names and layouts are those of mmpretrain's, mmdetection's and mmsegmentation's
    ``SwinTransformer``. Images of any size work, square or not. Its tokens are the cells of the last stage
    (32 pixels a side with four stages), row by row; there is no learned [CLS]: the mean of the tokens stands in
    its place, as the one prefix token.

    Window and shift of each block are fixed by ``img_size``: a stage whose map is not larger than a
    window has one window of the map's size and no shift, on images of other sizes too. For tasks with
    large images (detection, segmentation) set ``img_size`` to theirs, then blocks of all stages shift, as
    in the toolboxes.

    Args:
        arch: 'tiny', 'small', 'base', 'large', or a dict of ``embed_dims`` (of the first stage), ``depths``
            and ``num_heads`` (of each stage).
        img_size: Side, or height and width, in pixels, that fixes windows and shifts.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the images.
        window_size: Side of a window in cells: 7, or 14 for Swin-T/14.
        mlp_ratio: Width of a feed-forward's hidden layer, relative to the stage's.
        qkv_bias: Bias of queries, keys and values.
        mask_token: Learn a vector that stands for hidden patches; it starts at zero.
        drop_path_rate: Stochastic depth of the last block; grows linearly from 0 at the first. Published
            runs: 0.1 for 'tiny', 0.2 for larger ones.
        norm_eps: Epsilon of all layer norms; the toolboxes' own Swin has 1e-5.
        out_indices: Stages (from 0, or negative from the end) whose output :meth:`forward` returns, each after a
            norm of its own.
        frozen_stages: -1 = train all; 0 = freeze the patch embedding; k = and the first k stages with
            their output norms.
        with_cp: Activation checkpointing: compute blocks again in the backward pass instead of
            keeping their activations.
        init_cfg: See :class:`MIMBackbone`.

    Raises:
        ConfigError: For values that cannot work.

    Source: Swin transformer (arXiv 2103.14030); masks as in the published code of iBOT (arXiv 2111.07832).
    """

    num_prefix_tokens = 1
    pools_normed_tokens = True

    def __init__(
        self,
        arch: str | dict = 'tiny',
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_channels: int = 3,
        window_size: int = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        mask_token: bool = False,
        drop_path_rate: float = 0.1,
        norm_eps: float = 1e-6,
        out_indices: Sequence[int] = (-1,),
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        arch = _arch_settings(arch)
        self.depths, self.num_stages = tuple(arch['depths']), len(arch['depths'])
        self.num_layers = sum(self.depths)
        self.stage_dims = [arch['embed_dims'] * 2**i for i in range(self.num_stages)]
        self.embed_dims, self.patch_size = self.stage_dims[-1], patch_size
        self.out_indices = [self._index(i, self.num_stages, 'out_indices', 'stage') for i in out_indices]
        self.frozen_stages, self.with_cp = frozen_stages, with_cp
        if not -1 <= frozen_stages <= self.num_stages:
            raise ConfigError(f'frozen_stages={frozen_stages} is not between -1 and the {self.num_stages} stages.')

        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.stage_dims[0])) if mask_token else None
        self.patch_embed = PatchEmbed(in_channels, self.stage_dims[0], patch_size, norm_eps)
        options = {'norm_eps': norm_eps, 'qkv_bias': 'qkv' if qkv_bias else None}
        grid = self.patch_embed.grid_size(*((img_size, img_size) if isinstance(img_size, int) else img_size))
        self._make_stages(arch['num_heads'], min(grid), window_size, mlp_ratio, drop_path_rate, options)
        for i in sorted({*self.out_indices, self.num_stages - 1}):
            self.add_module(f'norm{i}', nn.LayerNorm(self.stage_dims[i], eps=norm_eps))
        self._reset_parameters()
        self._freeze()

    def _make_stages(
        self, heads: Sequence[int], side: int, window_size: int, mlp_ratio: float, drop_path_rate: float, options: dict
    ) -> None:
        """``side`` is the shorter side of the first stage's map, in cells."""
        self.stages, number, last = nn.ModuleList(), 0, max(self.num_layers - 1, 1)
        for i, (depth, dims) in enumerate(zip(self.depths, self.stage_dims)):
            window = min(side, window_size)
            shift = window // 2 if side > window_size else 0
            blocks = [
                SwinBlock(
                    dims, heads[i], int(dims * mlp_ratio), window, shift * (j % 2),
                    drop_path_rate * (number + j) / last, **options,
                )
                for j in range(depth)
            ]  # fmt: skip
            is_last = i == self.num_stages - 1
            self.stages.append(SwinStage(blocks, None if is_last else PatchMerging(dims, options['norm_eps'])))
            number, side = number + depth, max(side // 2, 1)

    @torch.no_grad()
    def _reset_parameters(self) -> None:
        """Truncated normal weights and bias tables, zero biases; the patch projection keeps torch's start."""
        for name, value in self.named_parameters():
            if name.endswith('relative_position_bias_table'):
                trunc_normal_(value, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    module.bias.zero_()

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        norms = [getattr(self, f'norm{i}', None) for i in range(self.frozen_stages)]
        return [self.patch_embed, *self.stages[: self.frozen_stages], *filter(None, norms)]

    def _frozen_tokens(self) -> list[nn.Parameter]:
        return [self.mask_token] if self.frozen_stages >= 0 and self.mask_token is not None else []

    @property
    def cell_size(self) -> int:
        """Side in pixels of what one token stands for, and of a cell of the mask."""
        return self.patch_size * 2 ** (self.num_stages - 1)

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens (cells of the last stage) of an image of ``height`` x ``width`` pixels."""
        rows, columns = self.patch_embed.grid_size(height, width)
        for _ in self.stages[1:]:
            rows, columns = -(-rows // 2), -(-columns // 2)
        return rows, columns

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Feature maps for a task's neck or head.

        Args:
            x: Normalised images ``(B, C, H, W)``.

        Returns:
            One normed map ``(B, D, h, w)`` for each of ``out_indices``.
        """
        maps: dict[int, Tensor] = {}
        for stage, block_map in self._blocks(self.embed(x), max(self.out_indices) + 1):
            maps[stage] = block_map  # that of the stage's last block stays
        return tuple(getattr(self, f'norm{i}')(maps[i]).permute(0, 3, 1, 2).contiguous() for i in self.out_indices)

    def forward_tokens(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mean token and all tokens after the final norm, with some patches hidden if wanted.

        Args:
            x: Normalised images ``(B, C, H, W)``.
            mask: bool ``(B, h, w)``, True = hidden, on the grid of tokens (or a finer or coarser one of which the
                grid of patches is a multiple). The mask token takes the place of every patch in a hidden cell.

        Returns:
            ``(B, 1 + N, D)``.

        Raises:
            ConfigError: For a mask without a mask token, or on a grid that does not fit.
        """
        last = deque(self._blocks(self.embed(x, mask), self.num_stages), maxlen=1)  # holds one block's output at a time
        return _with_mean(self._final_norm(last[0][1]))

    def intermediate_tokens(self, x: Tensor, n: int, norm: bool = True) -> list[Tensor]:
        """Outputs of the last ``n`` blocks, earliest first; blocks of several stages differ in width and grid.

        Args:
            x: Normalised images ``(B, C, H, W)``.
            n: Number of blocks.
            norm: Pass those of the last stage through the final norm.

        Returns:
            ``n`` tensors ``(B, 1 + N, D)``, each the mean token, then the tokens.
        """
        if not 1 <= n <= self.num_layers:
            raise ConfigError(f'n={n} last blocks are asked for, but the backbone has {self.num_layers}.')
        outputs = list(self._blocks(self.embed(x), self.num_stages))[-n:]
        final = self.num_stages - 1
        return [_with_mean(self._final_norm(x) if norm and stage == final else x) for stage, x in outputs]

    def attention_maps(self, x: Tensor, layers: Sequence[int] = (-1,)) -> list[Tensor]:
        """Attention weights of some blocks, in their windows.

        Args:
            x: Normalised images ``(B, C, H, W)``.
            layers: Blocks, counted through all stages, from 0 or negative from the end.

        Returns:
            ``(B * n, heads, T, T)`` for each block: the ``n`` windows of each image row by row (of
            the rolled map where the block shifts), ``T`` cells each; rows (queries) sum to one.
        """
        wanted = [self._index(i, self.num_layers, 'layers', 'block') for i in layers]
        x, number, maps = self.embed(x), 0, {}
        for stage in self.stages:
            for block in stage.blocks:
                if number in wanted:
                    maps[number] = block.attention_weights(x)
                x, number = block(x), number + 1
            if stage.downsample is not None:
                x = stage.downsample(x)
        return [maps[i] for i in wanted]

    def embed(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Make the map ``(B, h, w, D)`` that enters the first block; arguments as :meth:`forward_tokens`."""
        patches, grid = self.patch_embed(images)
        patches = patches.unflatten(1, grid)
        if mask is None:
            return patches
        if self.mask_token is None:
            raise ConfigError('A mask was given to a backbone without mask token; set mask_token=True in its config.')
        fits = mask.ndim == 3 and len(mask) == len(images)
        if not fits or any(size % cells for size, cells in zip(grid, mask.shape[1:])):
            raise ConfigError(
                f'A mask of shape {tuple(mask.shape)} does not fit {len(images)} images of {grid} patches; '
                f'the patch_size of the mask transform must be {self.cell_size}.'
            )
        rows, columns = (size // cells for size, cells in zip(grid, mask.shape[1:]))
        hidden = mask.to(torch.bool).repeat_interleave(rows, 1).repeat_interleave(columns, 2).unsqueeze(-1)
        return torch.where(hidden, self.mask_token.to(patches.dtype), patches)

    def _blocks(self, x: Tensor, num_stages: int) -> Iterator[tuple[int, Tensor]]:
        """Yield the number of the stage and the map ``(B, h, w, D)`` after each block of the first stages."""
        for i, stage in enumerate(self.stages[:num_stages]):
            for block in stage.blocks:
                x = checkpoint(block, x, use_reentrant=False) if self.with_cp and x.requires_grad else block(x)
                yield i, x
            if i + 1 < num_stages:
                x = stage.downsample(x)

    def _final_norm(self, x: Tensor) -> Tensor:
        return getattr(self, f'norm{self.num_stages - 1}')(x)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """The depth of a parameter, for layer-wise learning rates, by mmpretrain's convention.

        Args:
            param_name: Full name of the parameter.
            prefix: What stands before this backbone's own names, such as ``'backbone.'``.

        Returns:
            Depth and number of depths: 0 for mask token and patch embedding, ``i + 1`` for block ``i`` counted through
            all stages, that of the stage's last block for a merging, the last one for everything else.
        """
        num_depths = self.num_layers + 2
        first, *rest = param_name.removeprefix(prefix).split('.')
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        if first in ('mask_token', 'patch_embed'):
            return 0, num_depths
        if first == 'stages':
            stage = int(rest[0])
            block = int(rest[2]) if rest[1] == 'blocks' else self.depths[stage] - 1
            return sum(self.depths[:stage]) + block + 1, num_depths
        return num_depths - 1, num_depths

    @staticmethod
    def _index(index: int, number: int, key: str, kind: str) -> int:
        if not -number <= index < number:
            raise ConfigError(f'{key} names {kind} {index}, but the backbone has {number} {kind}s.')
        return index % number


def _with_mean(x: Tensor) -> Tensor:
    """``(B, h, w, D)`` to ``(B, 1 + h * w, D)``, the mean first."""
    tokens = x.flatten(1, 2)
    return torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)


def _arch_settings(arch: str | dict) -> dict:
    if isinstance(arch, str):
        if arch not in SWIN_ARCHS:
            raise ConfigError(f'arch={arch!r} is unknown; use one of {sorted(SWIN_ARCHS)} or a dict of the sizes.')
        return SWIN_ARCHS[arch]
    if set(arch) != set(SWIN_ARCHS['tiny']):
        raise ConfigError(f'arch has the keys {sorted(arch)} instead of {sorted(SWIN_ARCHS["tiny"])}.')
    if len(arch['depths']) != len(arch['num_heads']):
        raise ConfigError(f'arch has {len(arch["depths"])} depths and {len(arch["num_heads"])} num_heads; one a stage.')
    return dict(arch)
