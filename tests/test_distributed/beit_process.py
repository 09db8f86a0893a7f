"""One of several processes that train a BEiT: RANK WORLD_SIZE FOLDER; writes what it saw."""

import sys
from pathlib import Path

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper

from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import MODELS

HIDDEN = (1, 9, 4, 0)  # patches of each image; the processes have 10 and 4 of them
ARCH = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)


class RandomProjection(FrozenTokenizer):
    """A tokenizer with a parameter and a buffer, both of which its codes depend on by their order only."""

    vocabulary_size = 5

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 8, 8)
        self.register_buffer('shift', torch.zeros(1))

    def grid_size(self, image_size):
        return image_size[0] // 8, image_size[1] // 8

    def encode(self, images):
        return (self.conv(images) + self.shift).argmax(1)


def beit(global_mean):
    torch.manual_seed(0)
    backbone = dict(type='MIMVisionTransformer', arch=ARCH, img_size=32, patch_size=8, mask_token=True, init='beit')
    head = dict(global_mean=global_mean)
    return MODELS.build(dict(type='BEiT', backbone=backbone, tokenizer=dict(type=RandomProjection), head=head))


def batch(part):
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=rng)
    mask = torch.zeros(4, 16, dtype=torch.bool)
    for row, number in zip(mask, HIDDEN):
        row[:number] = True
    return {'inputs': {'global': [images[part]], 'local': [], 'mask': [mask.unflatten(1, (4, 4))[part]]}}


def train(rank, world_size, global_mean):
    """Two steps; what the model, the tokenizer and the log then hold."""
    model = beit(global_mean)
    # Every process has a tokenizer of its own from now on; the codes are the same.
    model.tokenizer.conv.bias.data += rank
    model.tokenizer.shift += rank
    before = {name: value.clone() for name, value in model.tokenizer.full_state_dict().items()}
    wrapped = model
    if world_size > 1:
        wrapped = MMDistributedDataParallel(model, device_ids=None)
    config = dict(type='mim_plugin.MIMOptimWrapper', constructor='mim_plugin.MIMOptimWrapperConstructor')
    wrapper = build_optim_wrapper(wrapped, config | dict(optimizer=dict(type='SGD', lr=1.0)))
    size = 4 // world_size
    part = slice(rank * size, (rank + 1) * size)
    losses = [wrapped.train_step(batch(part), wrapper)['loss_mim'].item() for _ in range(2)]
    after = model.tokenizer.full_state_dict()
    return {'state': model.state_dict(), 'tokenizer': after, 'tokenizer_before': before, 'losses': losses}


def main(rank, world_size, folder):
    """Everything that the test compares."""
    if world_size > 1:
        torch.distributed.init_process_group('gloo', f'file://{folder}/meet', rank=rank, world_size=world_size)
    return {'global': train(rank, world_size, True), 'local': train(rank, world_size, False)}


if __name__ == '__main__':
    seen = main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    torch.save(seen, Path(sys.argv[3]) / f'{sys.argv[1]}.pt')
