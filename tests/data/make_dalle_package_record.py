"""Writes dalle_package_record.safetensors: what the PyPI package DALL-E 0.1 computes.

Run  pip install --no-deps --target FOLDER DALL-E==0.1 attrs
     PYTHONPATH=FOLDER python tests/data/make_dalle_package_record.py

The weights are not stored: a formula gives them from their names' order and shapes, here and in the test.
"""

import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

SIZES = dict(vocab_size=512, n_hid=64, n_blk_per_group=1)  # the smallest that the package accepts


@torch.no_grad()
def fill(module: torch.nn.Module) -> None:
    """Give every parameter values that depend on its place in the state dict, of the scale of an initialisation."""
    for number, value in enumerate(module.state_dict().values()):
        scale = 0.2 if value.ndim == 1 else 2 * value[0].numel() ** -0.5
        value.copy_((scale * noise(value.numel(), number)).view_as(value))


def noise(count: int, number: int) -> torch.Tensor:
    """Numbers as if drawn from (-1, 1), float64."""
    return (torch.sin(12.9898 * torch.arange(count, dtype=torch.float64) + number) * 43758.5453).frac()


def image() -> torch.Tensor:
    """``(1, 3, 32, 40)`` values in [0, 1]."""
    return (noise(3 * 32 * 40, 0).view(1, 3, 32, 40) / 2 + 0.5).float()


def main() -> None:
    sys.modules.setdefault('requests', types.ModuleType('requests'))  # for downloads, which are not needed
    from dall_e import Decoder, Encoder, map_pixels, unmap_pixels

    encoder, decoder = Encoder(**SIZES), Decoder(**SIZES, n_init=16)
    fill(encoder), fill(decoder)
    with torch.no_grad():
        logits = encoder(map_pixels(image()))
        codes = ((noise(20, 1) + 1) * 256).long().view(1, 4, 5)  # not the likeliest, which are all the same
        output = decoder(torch.nn.functional.one_hot(codes, 512).movedim(-1, 1).float())
        pixels = unmap_pixels(torch.sigmoid(output[:, :3]).float())
    names = {f'names/encoder/{n}': torch.tensor(v.shape) for n, v in encoder.state_dict().items()}
    names |= {f'names/decoder/{n}': torch.tensor(v.shape) for n, v in decoder.state_dict().items()}
    record = dict(logits=logits, codes=codes, output=output, pixels=pixels) | names
    save_file({key: value.contiguous() for key, value in record.items()}, Path(__file__).with_name(RECORD))


RECORD = 'dalle_package_record.safetensors'

if __name__ == '__main__':
    main()
