"""Data sets and samplers."""

from mim_plugin.datasets.image_dataset import ImageDataset
from mim_plugin.datasets.labelled import ImageFolderLabels
from mim_plugin.datasets.samplers import ResumableSampler
from mim_plugin.datasets.token_cache import TokenCache
from mim_plugin.datasets.unlabelled import UnlabelledImages

__all__ = ['ImageDataset', 'ImageFolderLabels', 'ResumableSampler', 'TokenCache', 'UnlabelledImages']
