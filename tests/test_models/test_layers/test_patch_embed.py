import pytest
import torch
import torch.nn.functional as F

from mim_plugin.errors import ConfigError
from mim_plugin.models.layers import PatchEmbed


@pytest.mark.parametrize('channels', [1, 3, 5])
def test_each_patch_is_one_linear_map_row_by_row(channels):
    embed = PatchEmbed(channels, 6, 4)
    images = torch.randn(2, channels, 8, 12)
    tokens, grid = embed(images)
    assert grid == (2, 3) and tokens.shape == (2, 6, 6)
    weight = embed.projection.weight.flatten(1)
    for row in range(2):
        for column in range(3):
            patch = images[:, :, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4].flatten(1)
            expected = patch @ weight.T + embed.projection.bias
            torch.testing.assert_close(tokens[:, row * 3 + column], expected, atol=1e-5, rtol=1e-5)


def test_a_rest_is_padded_with_zeros_at_the_bottom_and_the_right():
    embed, images = PatchEmbed(3, 6, 4), torch.randn(1, 3, 9, 6)
    tokens, grid = embed(images)
    assert grid == (3, 2) == embed.grid_size(9, 6)
    torch.testing.assert_close(tokens, embed(F.pad(images, (0, 2, 0, 3)))[0])


@pytest.mark.parametrize('shape', [(2, 1, 8, 8), (3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ConfigError, match='in_channels'):
        PatchEmbed(3, 6, 4)(torch.randn(shape))
