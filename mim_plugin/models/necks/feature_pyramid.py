"""Feature maps of four sizes from the one size of a plain backbone."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mim_plugin.checkpoints.hook import fill_pyramid
from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS

__all__ = ['FeaturePyramid']

STRIDES = (4, 8, 16, 32)
_NORMS = {'bn': nn.BatchNorm2d, 'syncbn': nn.SyncBatchNorm}


@MODELS.register_module()
class FeaturePyramid(BaseModule):
    """Resize four maps of a plain transformer to strides 4, 8, 16 and 32.

    ======  ===================================================  =====================
    stride  16-pixel patches                                     8-pixel patches
    ======  ===================================================  =====================
    4       2 x 2 deconvolution, norm, GELU, 2 x 2 deconvolution  2 x 2 deconvolution
    8       2 x 2 deconvolution                                  as it is
    16      as it is                                             2 x 2 max pooling
    32      2 x 2 max pooling                                    4 x 4 max pooling
    ======  ===================================================  =====================

    Args:
        in_channels: Channels of the maps, kept by all levels.
        patch_size: 16 or 8, that of the backbone.
        norm: 'syncbn' (over all processes) or 'bn'.
        init_cfg: As in mmengine.

    Raises:
        ConfigError: Another patch size or norm.

    Source: BEiT (arXiv 2106.08254), appendix on ADE20K, and its published code.
    """

    def __init__(
        self, in_channels: int, patch_size: int = 16, norm: str = 'syncbn', init_cfg: dict | list[dict] | None = None
    ) -> None:
        super().__init__(init_cfg)
        if patch_size not in (8, 16):
            raise ConfigError(f'FeaturePyramid has no levels for patch_size={patch_size}; use 16 or 8.')
        if norm not in _NORMS:
            raise ConfigError(f'norm={norm!r} of FeaturePyramid is unknown; use one of {sorted(_NORMS)}.')
        self.levels = nn.ModuleList(_level(in_channels, patch_size / stride, _NORMS[norm]) for stride in STRIDES)
        self.register_load_state_dict_pre_hook(fill_pyramid)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Resize.

        Args:
            maps: Four maps ``(B, C, h, w)``, earliest block first.

        Returns:
            Four maps, largest first; pooling drops an odd last row or column.

        Raises:
            ConfigError: There are not four maps.
        """
        if len(maps) != len(self.levels):
            raise ConfigError(f'FeaturePyramid got {len(maps)} maps, not 4; name 4 blocks in backbone.out_indices.')
        return tuple(level(features) for level, features in zip(self.levels, maps))


def _level(channels: int, factor: float, norm: type[nn.Module]) -> nn.Module:
    """What makes a map ``factor`` times as large."""
    if factor == 1:
        return nn.Identity()
    if factor < 1:
        return nn.MaxPool2d(round(1 / factor))
    first = nn.ConvTranspose2d(channels, channels, 2, stride=2)
    if factor == 2:
        return nn.Sequential(first)
    return nn.Sequential(first, norm(channels), nn.GELU(), nn.ConvTranspose2d(channels, channels, 2, stride=2))
