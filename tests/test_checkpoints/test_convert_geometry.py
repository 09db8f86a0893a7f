"""Other sizes: what a file says after the conversion is what our backbone computes by itself, or what is promised."""

import pytest
import torch
import torch.nn.functional as F

from mim_plugin.checkpoints import convert, load_pretrained, read_checkpoint
from mim_plugin.checkpoints.convert import convert_state
from mim_plugin.checkpoints.geometry import Geometry, other_channels, resize_patches
from mim_plugin.checkpoints.matrix import sample
from mim_plugin.errors import CheckpointError
from mim_plugin.models.layers import resize_bias_table, resize_positions, resize_window_table
from mim_plugin.registry import MODELS

TABLE = 'backbone.rel_pos_bias.relative_position_bias_table'
OWN = 'backbone.layers.{}.attn.relative_position_bias_table'


def converted(kind, **sizes):
    return convert_state(sample(kind), geometry=Geometry(**sizes))


def backbone_of(result):
    backbone = MODELS.build(dict(result.config)).eval()
    load_pretrained(backbone, result.state, logger=None)
    return backbone


@pytest.mark.parametrize('size', [48, 16, (48, 24)])
@pytest.mark.parametrize('kind', ['ViT', 'BEiT, pretraining', 'BEiT, classifier'])
def test_another_image_size_is_what_the_backbone_makes_of_it(kind, size):
    images = torch.randn(2, 3, *((size, size) if isinstance(size, int) else size))
    before, after = backbone_of(converted(kind)), converted(kind, img_size=size)
    assert after.config['img_size'] == size and after.report.kind == 'changed'
    torch.testing.assert_close(backbone_of(after)(images), before(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('rule', ['size', 'ibot', 'bilinear'])
def test_rules_of_positions(rule):
    wanted = resize_positions(sample('ViT')['backbone.pos_embed'], (4, 4), (6, 6), rule)
    found = converted('ViT', img_size=48, position_rule=rule).state['backbone.pos_embed']
    assert torch.equal(found, wanted)


def test_both_networks_of_a_pair():
    state = converted('ViT, student and teacher', img_size=48).state
    shapes = {state[f'{prefix}backbone.pos_embed'].shape for prefix in ('', 'tokenizer.')}
    assert shapes == {(1, 37, 64)}


def test_kinds_of_relative_bias_there_and_back():
    shared = sample('BEiT, pretraining')
    spread = converted('BEiT, pretraining', relative_bias='per_block')
    assert TABLE not in spread.state and all(torch.equal(spread.state[OWN.format(i)], shared[TABLE]) for i in (0, 1))
    back = convert_state(spread.state, geometry=Geometry(relative_bias='shared'))
    assert back.state.keys() == shared.keys() and torch.equal(back.state[TABLE], shared[TABLE])
    both = {**shared, **{OWN.format(i): torch.randn_like(shared[TABLE]) for i in (0, 1)}}
    added = convert_state(both, geometry=Geometry(relative_bias='per_block', img_size=48)).state[OWN.format(1)]
    assert torch.equal(added, resize_bias_table(both[TABLE] + both[OWN.format(1)], (4, 4), (6, 6)))
    for state in (sample('BEiT, classifier'), both):
        with pytest.raises(CheckpointError, match='tables of the blocks differ'):
            convert_state(state, geometry=Geometry(relative_bias='shared'))


@pytest.mark.parametrize(('size', 'sides'), [(None, (8, 8, 8, 8)), (256, (8, 8, 8, 8)), ((128, 256), (8, 8, 8, 4))])
@pytest.mark.parametrize('kind', ['Swin', 'Swin, student and teacher'])
def test_windows_of_another_size_are_what_a_model_makes_of_them(kind, size, sides):
    before, after = converted(kind), converted(kind, window_size=8, img_size=size)
    assert after.config['img_size'] == 32 * sides[-1] and after.config['window_size'] == 8
    backbone, loaded = backbone_of(after), MODELS.build(dict(after.config))
    report = load_pretrained(loaded, before.state, logger=None)
    assert len(report.resized) == sum(side != 4 for side in (8, 8, *sides[1:]))  # two blocks in the first stage
    for name, value in loaded.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value), name
    tables = [value for name, value in after.state.items() if name.startswith('backbone.') and 'bias_table' in name]
    assert [len(table) for table in tables] == [(2 * side - 1) ** 2 for side in (8, *sides)]


def test_a_smooth_bias_of_windows_stays():
    """Of the same place relative to the window's edges."""
    offsets = torch.linspace(-1, 1, 27)
    table = torch.stack([offsets[:, None] + 0 * offsets, offsets[:, None] * offsets], -1).flatten(0, 1)
    for window in (7, 12, 14, 20):
        found = resize_window_table(table, window).unflatten(0, (2 * window - 1,) * 2)
        centre = found[window - 1, window - 1]
        assert centre.abs().max() < 1e-6
        torch.testing.assert_close(found.flip(0, 1), found * torch.tensor([-1.0, 1.0]), atol=1e-5, rtol=0)
        assert (found[1:, 0, 0] > found[:-1, 0, 0]).all()


@pytest.mark.parametrize('target', ['timm', 'mmdet', 'mmpretrain'])
def test_a_file_of_other_windows_for_others(target, tmp_path):
    pytest.importorskip(target)
    torch.save(sample('Swin'), tmp_path / 'a.pth')
    sizes = Geometry(window_size=2)
    done = convert(tmp_path / 'a.pth', tmp_path / 'b.pth', to_format=target, geometry=sizes, verify=True)
    assert any(target in line and 'agree' in line for line in done.verified)
    assert 'changed (window_size=2)' in str(done) and 'table for windows of 2x2 (bicubic)' in str(done)


@pytest.mark.parametrize('kind', ['ViT', 'Swin'])
def test_channels(kind):
    size = 128 if kind == 'Swin' else 32
    grey = torch.randn(2, 1, size, size)
    before = backbone_of(converted(kind))(grey.expand(-1, 3, -1, -1))
    for channels in (1, 6):
        after = backbone_of(converted(kind, in_channels=channels))(grey.expand(-1, channels, -1, -1))
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    assert other_channels(torch.ones(1, 3, 2, 2), 4).shape == (1, 4, 2, 2)


def test_larger_patches_of_larger_images_give_the_same_tokens():
    weight, image = torch.randn(5, 3, 4, 4), torch.randn(2, 3, 4, 4)
    enlarged = F.interpolate(image, (7, 7), mode='bilinear', align_corners=False)
    found = F.conv2d(enlarged, resize_patches(weight, 7))
    torch.testing.assert_close(found, F.conv2d(image, weight), rtol=1e-4, atol=1e-4)
    result = converted('ViT', patch_size=16, img_size=64)  # the grid stays
    assert torch.equal(result.state['backbone.pos_embed'], sample('ViT')['backbone.pos_embed'])
    assert converted('ViT', patch_size=4).state['backbone.pos_embed'].shape == (1, 65, 64)  # the image stays


def test_a_file_for_timm_of_another_size(tmp_path):
    pytest.importorskip('timm')
    torch.save(sample('ViT'), tmp_path / 'a.pth')
    sizes = Geometry(img_size=(48, 32), in_channels=1)
    done = convert(tmp_path / 'a.pth', tmp_path / 'b.pth', to_format='timm', geometry=sizes, verify=True)
    assert any('timm' in line and 'agree' in line for line in done.verified)
    assert read_checkpoint(tmp_path / 'b.pth')['state_dict']['pos_embed'].shape == (1, 25, 64)
    assert 'changed (img_size=(48, 32), in_channels=1)' in str(done) and 'positions 4x4 to 6x4 (size)' in str(done)


def test_mistakes():
    for sizes, message in (
        ({'img_size': 33}, 'no whole number of patches of 8'),
        ({'relative_bias': 'none'}, "use 'shared' or 'per_block'"),
        ({'position_rule': 'cubic'}, 'use one of'),
        ({'in_channels': -1}, 'at least 1'),
        ({'img_size': 0}, 'at least 1'),
        ({'window_size': 4}, 'no windows'),
    ):
        with pytest.raises(CheckpointError, match=message):
            converted('ViT', **sizes)
    with pytest.raises(CheckpointError, match='Swin transformer has no image size'):
        converted('Swin', img_size=256)
    with pytest.raises(CheckpointError, match='no other relative bias'):
        converted('Swin', window_size=2, relative_bias='shared')
    with pytest.raises(CheckpointError, match='no whole number of patches of 4'):
        converted('Swin', window_size=2, img_size=33)
