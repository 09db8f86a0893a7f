"""Golden: beit_seg_backbone, ibot_seg_backbone, ibot_det_backbone."""

import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS


@pytest.mark.parametrize(('patch_size', 'grid'), [(16, (5, 7)), (8, (9, 12))])
def test_strides_and_gradients(patch_size, grid):
    neck = MODELS.build(dict(type='FeaturePyramid', in_channels=6, patch_size=patch_size, norm='bn'))
    maps = [torch.randn(2, 6, *grid, requires_grad=True) for _ in range(4)]
    levels = neck(maps)
    sizes = [tuple(side * patch_size // stride for side in grid) for stride in (4, 8, 16, 32)]
    assert [tuple(level.shape) for level in levels] == [(2, 6, *size) for size in sizes]
    sum(level.sum() for level in levels).backward()
    assert all(features.grad.any() for features in maps)


def test_norm_follows_the_option():
    kinds = {'bn': torch.nn.BatchNorm2d, 'syncbn': torch.nn.SyncBatchNorm}
    for norm, kind in kinds.items():
        assert isinstance(MODELS.build(dict(type='FeaturePyramid', in_channels=4, norm=norm)).levels[0][1], kind)


def test_bad_options_and_inputs():
    with pytest.raises(ConfigError, match='patch_size=14; use 16 or 8'):
        MODELS.build(dict(type='FeaturePyramid', in_channels=4, patch_size=14))
    with pytest.raises(ConfigError, match="norm='ln'"):
        MODELS.build(dict(type='FeaturePyramid', in_channels=4, norm='ln'))
    with pytest.raises(ConfigError, match='got 1 maps, not 4; name 4 blocks in backbone.out_indices'):
        MODELS.build(dict(type='FeaturePyramid', in_channels=4))([torch.zeros(1, 4, 2, 2)])


@pytest.mark.parametrize(
    ('patch_size', 'rescales', 'modules'),
    [(16, [4, 2, 1, 0.5], ('upsample_4x', 'upsample_2x')), (8, [2, 1, 0.5, 0.25], ('upsample_2x',))],
)
@pytest.mark.parametrize('grid', [(6, 6), (5, 9), (12, 7)])
def test_equals_the_pyramid_of_mmsegmentation(patch_size, rescales, modules, grid):
    theirs_type = pytest.importorskip('mmseg.models.necks').Feature2Pyramid
    torch.manual_seed(0)
    theirs = theirs_type(embed_dim=6, rescales=rescales, norm_cfg=dict(type='BN'))
    ours = MODELS.build(dict(type='FeaturePyramid', in_channels=6, patch_size=patch_size, norm='bn'))
    for level, name in zip(ours.levels, modules):
        level.load_state_dict(getattr(theirs, name).state_dict())
    assert len(ours.state_dict()) == len(theirs.state_dict())
    for training in (True, False):
        maps = [torch.randn(2, 6, *grid) for _ in range(4)]
        outputs = ours.train(training)(maps), theirs.train(training)(maps)
        for our_level, their_level in zip(*outputs):
            torch.testing.assert_close(our_level, their_level, rtol=0, atol=0)
