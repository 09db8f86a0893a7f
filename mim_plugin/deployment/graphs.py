"""What is exported: from the pixels of an image to features, or to logits and classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.apis.config_tree import type_name
from mim_plugin.deployment.traceable import traceable_copy
from mim_plugin.errors import ConfigError
from mim_plugin.models.data_preprocessor import MIMDataPreprocessor

__all__ = ['BackboneGraph', 'Pixels', 'SegmentorGraph']


class Pixels(nn.Module):
    """Pixels as decoders give them, uint8 RGB, to what a network reads.

    Args:
        preprocessor: ``data_preprocessor`` of a config; None: that of this package.

    Raises:
        ConfigError: It pads images to a fixed size when testing.
    """

    def __init__(self, preprocessor: dict | None) -> None:
        super().__init__()
        preprocessor = dict(preprocessor or dict(type='MIMDataPreprocessor'))
        own = type_name(preprocessor) == 'MIMDataPreprocessor'
        if own:
            statistics = {key: preprocessor[key] for key in ('mean', 'std') if key in preprocessor}
            built = MIMDataPreprocessor(**statistics)
            mean, std = built.mean.flatten().tolist(), built.std.flatten().tolist()
        else:
            mean, std = preprocessor.get('mean'), preprocessor.get('std')
        if mean is None or std is None:
            mean, std = [0.0], [1.0]
        # The loaders of the toolboxes give BGR, which most of their configs turn; this package's give RGB.
        self.reads_rgb = own or bool(preprocessor.get('bgr_to_rgb') or preprocessor.get('to_rgb'))
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))
        testing = preprocessor.get('test_cfg') or {}
        if testing.get('size'):
            raise ConfigError(
                f'data_preprocessor.test_cfg.size={testing["size"]} pads images to one size, which a graph does not '
                'do; leave it out (--cfg-options model.data_preprocessor.test_cfg=None) and name the size by --size.'
            )
        self.divisor = testing.get('size_divisor')
        self.pad_value = preprocessor.get('pad_val', 0)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise ``(B, 3, H, W)``, uint8."""
        images = images.float()
        return ((images if self.reads_rgb else images.flip(1)) - self.mean) / self.std


def _pad(images: Tensor, divisor: int, value: float = 0.0) -> Tensor:
    """Fill up at the bottom and the right to multiples of ``divisor``, in words that a tracer understands."""
    height, width = images.shape[-2:]
    rows, columns = (height + divisor - 1) // divisor, (width + divisor - 1) // divisor
    return F.pad(images, (0, columns * divisor - width, 0, rows * divisor - height), value=value)


def _cut(maps: Tensor, height: int, width: int) -> Tensor:
    """What lies in an image, without the padding; of a slice a tracer asks for a proof that it lies inside."""
    rows, columns = torch.arange(height, device=maps.device), torch.arange(width, device=maps.device)
    return maps.index_select(2, rows).index_select(3, columns)


class BackboneGraph(nn.Module):
    """Pixels to features.

    Args:
        backbone: A backbone of this package or of a toolbox; it is copied.
        preprocessor: ``data_preprocessor`` of its config.
    """

    def __init__(self, backbone: nn.Module, preprocessor: dict | None) -> None:
        super().__init__()
        self.pixels = Pixels(preprocessor)
        self.backbone = traceable_copy(backbone)

    @property
    def output_names(self) -> list[str]:
        """One name for each of ``out_indices``."""
        indices: Sequence[int] = self.backbone.out_indices
        kind = 'stage' if hasattr(self.backbone, 'stages') else 'block'
        return [f'{kind}{index}' for index in indices]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of uint8 RGB images ``(B, 3, H, W)``."""
        images = self.pixels(images)
        return tuple(self.backbone(_pad(images, getattr(self.backbone, 'patch_size', 1))))


class SegmentorGraph(nn.Module):
    """Pixels to logits and classes of every pixel, the whole image at once.

    Args:
        model: An encoder-decoder of mmseg; its networks are copied.
        preprocessor: ``data_preprocessor`` of its config.
    """

    output_names = ('logits', 'classes')

    def __init__(self, model: nn.Module, preprocessor: dict | None) -> None:
        super().__init__()
        self.pixels = Pixels(preprocessor)
        self.backbone = traceable_copy(model.backbone)
        self.neck = traceable_copy(model.neck) if model.with_neck else nn.Identity()
        self.head = traceable_copy(model.decode_head)
        self.align_corners = model.align_corners

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B, K, H, W)`` and classes ``(B, H, W)``, int64, of uint8 RGB images ``(B, 3, H, W)``.

        A head with one logit (of two classes) gives its sigmoid, as mmseg does.
        """
        height, width = images.shape[-2:]
        x = self.pixels(images)
        if self.pixels.divisor:
            x = _pad(x, self.pixels.divisor, self.pixels.pad_value)
        size = x.shape[-2:]
        # The backbone would fill up to whole patches itself, and the logits are stretched to what it was given.
        logits = self.head(self.neck(self.backbone(_pad(x, getattr(self.backbone, 'patch_size', 1)))))
        logits = F.interpolate(logits, size, mode='bilinear', align_corners=self.align_corners)
        if self.pixels.divisor:
            logits = _cut(logits, height, width)
        if self.head.out_channels > 1:
            return logits, logits.argmax(1)
        logits = logits.sigmoid()
        return logits, (logits[:, 0] > self.head.threshold).long()
