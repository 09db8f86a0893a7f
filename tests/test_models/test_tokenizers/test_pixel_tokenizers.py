"""Tokenizers of plain pixels: mean colour, pixel regression; cutting into patches and joining."""

import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.models.tokenizers.patches import cut_patches, join_patches, patch_grid
from mim_plugin.registry import MODELS


def build(**config):
    return MODELS.build(config).freeze()


def test_patches_are_cut_row_by_row_with_the_channel_last_and_join_again():
    images = torch.rand(2, 3, 8, 12)
    patches = cut_patches(images, 4)
    assert patches.shape == (2, 2, 3, 48)
    block = images[1, :, 4:8, 8:12]  # row 1, column 2
    assert patches[1, 1, 2].equal(block.permute(1, 2, 0).flatten())
    assert join_patches(patches, 4).equal(images)
    with pytest.raises(ConfigError, match=r'Someone cannot cut images of \(8, 10\) pixels into patches of 4'):
        patch_grid((8, 10), 4, 'Someone')


def test_mean_color_has_red_in_the_upper_bits():
    tokenizer = build(type='MeanColorTokenizer', patch_size=4)
    assert (tokenizer.vocabulary_size, tokenizer.grid_size((8, 12))) == (512, (2, 3))
    images = torch.zeros(1, 3, 4, 12)
    images[0, 0, :, :4], images[0, 1, :, 4:8], images[0, 2, :, 8:] = 1.0, 0.5, 0.13
    assert tokenizer(images).patches.tolist() == [[[7 * 64, 4 * 8, 1]]]


def test_mean_color_takes_the_mean_before_the_bits():
    images = torch.zeros(1, 3, 4, 4)
    images[:, :, :2] = 1.0  # half black, half white: grey, level 1 of 0 and 1
    tokenizer = build(type='MeanColorTokenizer', patch_size=4, bits=1)
    assert tokenizer(images).patches.tolist() == [[[7]]]
    assert tokenizer(images * 0.9).patches.tolist() == [[[0]]]


def test_mean_color_decodes_to_the_middle_of_its_code():
    tokenizer = build(type='MeanColorTokenizer', patch_size=4)
    colors = torch.rand(2, 3, 2, 3)
    images = colors.repeat_interleave(4, 2).repeat_interleave(4, 3)
    decoded = tokenizer.decode(tokenizer(images).patches)
    assert decoded.shape == images.shape
    assert (decoded - images).abs().max() <= 1 / 16 + 1e-6
    assert tokenizer(decoded).patches.equal(tokenizer(images).patches)


def test_pixels_are_normalised_by_the_data_set_and_decode_exactly():
    tokenizer = build(type='PixelTokenizer', patch_size=4, mean=(51, 0, 255), std=(25.5, 51, 255))
    images = torch.rand(2, 3, 8, 12)
    targets = tokenizer(images)
    assert (targets.kind, tokenizer.value_dims) == ('values', 48)
    first = targets.patches[0, 0, 0, :3]
    assert torch.allclose(first, (images[0, :, 0, 0] - torch.tensor([0.2, 0, 1])) / torch.tensor([0.1, 0.2, 1]))
    assert torch.allclose(tokenizer.decode(targets.patches), images, atol=1e-6)


def test_pixels_normalised_by_patch():
    tokenizer = build(type='PixelTokenizer', patch_size=4, per_patch=True)
    images = torch.rand(2, 3, 8, 12)
    values = tokenizer(images).patches
    assert torch.allclose(values.mean(-1), torch.zeros(2, 2, 3), atol=1e-5)
    assert torch.allclose(values.var(-1), torch.ones(2, 2, 3), atol=1e-3)
    assert torch.allclose(values, tokenizer(images * 0.5 + 0.2).patches, atol=1e-3)
    assert tokenizer(torch.ones(1, 3, 4, 4)).patches.abs().max() == 0
    assert not tokenizer.can_decode
    with pytest.raises(ConfigError, match='cannot be decoded'):
        tokenizer.decode(values)


@pytest.mark.parametrize('kind', ['MeanColorTokenizer', 'PixelTokenizer'])
def test_images_that_do_not_divide_and_files_without_use_are_refused(kind):
    tokenizer = build(type=kind, patch_size=16)
    for call in (lambda: tokenizer.grid_size((64, 40)), lambda: tokenizer(torch.rand(1, 3, 64, 40))):
        with pytest.raises(ConfigError, match=rf'{kind} cannot cut images of \(64, 40\) pixels.*target_size'):
            call()
    with pytest.raises(ConfigError, match='has no weights'):
        tokenizer.load_checkpoint('x.pth')
