"""A backbone of one linear layer and images whose brightness pattern tells their class."""

import torch
from mmengine.model import BaseDataPreprocessor, BaseModule
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor


class ToyImages(Dataset):
    """``length`` images (3, 8, 8) of ``num_classes`` classes, in mixed order."""

    def __init__(self, length=40, num_classes=3, seed=0, labelled=True, noise=30.0):
        generator = torch.Generator().manual_seed(seed)
        patterns = torch.randint(60, 196, (num_classes, 3, 8, 8), generator=torch.Generator().manual_seed(99))
        self.labels = torch.randint(0, num_classes, (length,), generator=generator)
        noise = noise * torch.randn(length, 3, 8, 8, generator=generator)
        self.images = (patterns[self.labels] + noise).clamp(0, 255).byte()
        self.labelled = labelled
        self.metainfo = {'classes': [f'class {label}' for label in range(num_classes)]}

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        sample = BaseDataElement(sample_idx=index)
        if self.labelled:
            sample.gt_label = self.labels[index]
        return {'inputs': self.images[index], 'data_samples': sample}


class ToyBackbone(BaseModule):
    """Two blocks of tokens: [CLS] = mean of four linear patch tokens; the norm halves."""

    num_prefix_tokens = 1
    patch_size = 4
    embed_dims = 6

    def __init__(self, seed=0):
        super().__init__()
        self.projection = nn.Conv2d(3, 6, 4, 4)
        nn.init.zeros_(self.projection.bias)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed)
            self.projection.weight.copy_(torch.randn(6, 3, 4, 4, generator=generator))

    def intermediate_tokens(self, images, n, norm=True):
        patches = self.projection(images).flatten(2).transpose(1, 2)  # (B, 4, 6)
        tokens = torch.cat([patches.mean(1, keepdim=True), patches + 1], 1)
        return [(tokens * (block + 1)) / (2 if norm else 1) for block in range(2)][-n:]

    def forward_tokens(self, images, mask=None):
        return self.intermediate_tokens(images, 1)[-1]


class ToyPreprocessor(BaseDataPreprocessor):
    def forward(self, data, training=False):
        images = torch.stack(list(data['inputs'])).float() / 255 - 0.5
        return {'inputs': images, 'data_samples': data.get('data_samples')}


def toy_extractor(**options):
    return FeatureExtractor(ToyBackbone(), data_preprocessor=ToyPreprocessor(), **options)


def toy_collate(samples):
    return {key: [sample[key] for sample in samples] for key in samples[0]}


def toy_loader(dataset, batch_size=7, **options):
    return DataLoader(dataset, batch_size, collate_fn=toy_collate, **options)
