"""Views: crops, colours and masks."""

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.datasets.transforms.cached_tokens import CachedTokenCrop
from mim_plugin.datasets.transforms.color import ColorJitter, ViewAugmentation
from mim_plugin.datasets.transforms.crops import MultiCrop, RandomResizedCrop
from mim_plugin.datasets.transforms.evaluation import CenterCrop, ResizeShortSide
from mim_plugin.datasets.transforms.formatting import PackImage, PackViews
from mim_plugin.datasets.transforms.labels import IgnoreOtherLabels
from mim_plugin.datasets.transforms.loading import LoadImagePIL, UndecodableImageError
from mim_plugin.datasets.transforms.masking import (
    BEiTMasks,
    PredictionMasks,
    PredictionRatio,
    beit_block_mask,
    block_mask,
    random_mask,
)
from mim_plugin.datasets.transforms.matching import MatchPatches
from mim_plugin.datasets.transforms.two_resolution import TwoResolutionCrop

__all__ = [
    'BEiTMasks',
    'CachedTokenCrop',
    'CenterCrop',
    'ColorJitter',
    'IgnoreOtherLabels',
    'LoadImagePIL',
    'MatchPatches',
    'MultiCrop',
    'PackImage',
    'PackViews',
    'PredictionMasks',
    'PredictionRatio',
    'RandomResizedCrop',
    'ResizeShortSide',
    'Transform',
    'TwoResolutionCrop',
    'UndecodableImageError',
    'ViewAugmentation',
    'beit_block_mask',
    'block_mask',
    'random_mask',
]
