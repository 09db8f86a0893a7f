"""A small tokenizer, a small BEiT and short ways to make and read token caches."""

import torch
from mmengine.config import Config

from mim_plugin.apis.encode_tokens import cached_config, encode_tokens
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import DATASETS, MODELS

MEAN_COLOR = dict(type='MeanColorTokenizer', patch_size=8)


@MODELS.register_module()
class WideTokenizer(FrozenTokenizer):
    """Sees more than a cell, and left and right differ; more codes than 16 bits hold on request."""

    has_weights = False

    def __init__(self, seed=0, vocabulary_size=7):
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.conv = torch.nn.Conv2d(3, 7, 12, 4, padding=4)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv.reset_parameters()

    def grid_size(self, image_size):
        return image_size[0] // 4, image_size[1] // 4

    def encode(self, images):
        return self.conv(images - 0.5).argmax(1)


WIDE = dict(type='WideTokenizer')


def config(root, tokenizer=None, **crop):
    """32 x 32 pixels in 4 x 4 patches; without colour jitter, so that the view is what the tokenizer saw."""
    calm = dict(brightness=0, contrast=0, saturation=0)
    pipeline = [
        dict(type='LoadImagePIL'),
        dict(type='TwoResolutionCrop', **{'size': 32, 'target_size': None, **calm, **crop}),
        dict(type='BEiTMasks', patch_size=8, num_masked=6, min_per_block=2),
        dict(type='PackViews'),
    ]
    arch = dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=24)
    return Config(
        dict(
            default_scope='mim_plugin',
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                sampler=dict(type='ResumableSampler', shuffle=True),
                collate_fn=dict(type='default_collate'),
                dataset=dict(type='UnlabelledImages', data_root=str(root), seed=0, max_broken=0.5, pipeline=pipeline),
            ),
            model=dict(
                type='BEiT',
                backbone=dict(type='MIMVisionTransformer', arch=arch, img_size=32, patch_size=8, mask_token=True),
                tokenizer=tokenizer or MEAN_COLOR,
            ),
            train_cfg=dict(type='ResumableEpochLoop', max_epochs=1),
            optim_wrapper=dict(type='MIMOptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
        )
    )


def encode(cfg, out, **options):
    return encode_tokens(cfg, str(out), **{'crops': 3, 'batch_size': 3, 'num_workers': 0, 'shard_images': 3, **options})


def cached_images(cfg, out):
    return DATASETS.build(cached_config(cfg, str(out), 1).train_dataloader.dataset)


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob('ids-*.npy'))}


def ids_of_view(tokenizer, sample):
    """What the tokenizer says about the view that the transformer gets."""
    return tokenizer(sample['inputs']['global'][0][None].float() / 255).patches[0]
