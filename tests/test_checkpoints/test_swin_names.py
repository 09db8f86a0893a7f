"""Swin files of every kind give our backbone the outputs of the module that they come from."""

import pytest
import torch
from torch import nn

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.contents import network_of
from mim_plugin.checkpoints.formats import ibot, swin
from mim_plugin.checkpoints.formats.traits import below
from mim_plugin.errors import CheckpointError
from mim_plugin.models.algorithms import IBOT
from mim_plugin.models.backbones import MIMSwinTransformer

DIMS, DEPTHS, HEADS = 8, (2, 2, 2, 1), (1, 2, 4, 4)
ARCH = {'embed_dims': DIMS, 'depths': DEPTHS, 'num_heads': HEADS}
ALL = (0, 1, 2, 3)


def make(seed=0, **options):
    torch.manual_seed(seed)
    # Images of 256 pixels: 64, 32, 16 and 8 cells, so every stage shifts, as in the toolboxes.
    defaults = {'arch': ARCH, 'img_size': 256, 'window_size': 4, 'drop_path_rate': 0.0, 'out_indices': ALL}
    return shake(MIMSwinTransformer(**{**defaults, **options}))


def shake(model):
    """Every number differs from every other, also those that start at 0 or 1."""
    for p in model.parameters():
        nn.init.normal_(p, 1.0 if p.ndim == 1 else 0.0, 0.1)
    model.eval()  # the toolboxes' returns nothing
    return model


def toolbox_swin(name):
    """The toolbox's module, with output norms for all stages."""
    module = pytest.importorskip(f'{name}.models.backbones.{"swin_transformer" if name == "mmpretrain" else "swin"}')
    torch.manual_seed(1)
    if name == 'mmpretrain':
        model = module.SwinTransformer(ARCH, img_size=256, window_size=4, out_indices=ALL, pad_small_map=True)
    else:
        model = module.SwinTransformer(
            pretrain_img_size=256, embed_dims=DIMS, depths=DEPTHS, num_heads=HEADS, window_size=4, drop_path_rate=0.0
        )
    return shake(model)


@pytest.mark.parametrize('name', ['mmpretrain', 'mmseg', 'mmdet'])
def test_toolboxes(name):
    theirs = toolbox_swin(name)
    image = torch.randn(1, 3, 200, 264)  # needs padding to windows and in the mergings
    file = {'state_dict': {f'backbone.{n}': v for n, v in theirs.state_dict().items()} | {'neck.x': torch.zeros(1)}}
    ours = make(norm_eps=1e-5)
    report = load_pretrained(ours, file, logger=None)
    assert report.kept == report.mismatched == report.unused == []
    for mine, other in zip(ours(image), theirs(image), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)
    # And back: the names and layouts are the same, but for the index buffers that a module makes by itself.
    ours = make(seed=2, norm_eps=1e-5)
    missing, unexpected = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert unexpected == [] and all(n.endswith('relative_position_index') for n in missing)
    for mine, other in zip(ours(image), theirs(image), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def timm_swin():
    timm = pytest.importorskip('timm')
    torch.manual_seed(1)
    return shake(
        timm.models.swin_transformer.SwinTransformer(
            256, embed_dim=DIMS, depths=DEPTHS, num_heads=HEADS, window_size=4, num_classes=5, drop_path_rate=0.0
        )
    )


def test_timm():
    theirs, ours = timm_swin(), make(norm_eps=1e-5, out_indices=(3,))
    image = torch.randn(2, 3, 256, 256)
    report = load_pretrained(ours, theirs.state_dict(), logger=None)  # the classifier stays out
    assert report.kept == report.unused == []
    expected = theirs.forward_features(image).flatten(1, 2)
    torch.testing.assert_close(ours.forward_tokens(image)[:, 1:], expected, atol=1e-5, rtol=1e-5)
    # And back, through timm's own reader of the published layout.
    from timm.models.swin_transformer import checkpoint_filter_fn

    ours = make(seed=2, norm_eps=1e-5, out_indices=(3,))
    state = checkpoint_filter_fn(swin.backbone_to_official(ours.state_dict()), theirs)
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert unexpected == [] and {name.split('.')[0] for name in missing} == {'head'}
    expected = theirs.forward_features(image).flatten(1, 2)
    torch.testing.assert_close(ours.forward_tokens(image)[:, 1:], expected, atol=1e-5, rtol=1e-5)


def test_official_backbone_there_and_back_again():
    ours = make(mask_token=True, out_indices=(3,))
    official = swin.backbone_to_official(ours.state_dict())
    assert swin.is_official(official) and swin.is_ours(ours.state_dict())
    assert official['masked_embed'].shape == (1, DIMS)
    assert official['layers.0.blocks.1.attn.relative_position_index'].shape == (16, 16)
    # The official order of four joined cells: rows fastest, then columns, channels last.
    weight, reduction = official['layers.1.downsample.norm.weight'], ours.stages[1].downsample.norm.weight
    assert torch.equal(weight.view(2, 2, -1)[1, 0], reduction.view(-1, 2, 2)[:, 0, 1])
    back = below(network_of(official)[0], 'backbone.')
    assert back.keys() == ours.state_dict().keys()
    assert all(torch.equal(back[name], value) for name, value in ours.state_dict().items())
    for prefix in ('', 'backbone.', 'module.backbone.'):
        other = make(seed=3, mask_token=True, out_indices=(3,))
        load_pretrained(other, {'state_dict': {prefix + n: v for n, v in official.items()}}, logger=None)
        assert all(torch.equal(other.state_dict()[name], value) for name, value in ours.state_dict().items())


def test_full_official_checkpoint_there_and_back_again():
    config = {'type': 'MIMSwinTransformer', 'arch': ARCH, 'img_size': 256, 'window_size': 4, 'mask_token': True}
    model, other = (IBOT(config, {'out_dim': 8, 'hidden_dim': 8, 'bottleneck_dim': 4}) for _ in range(2))
    official = ibot.to_official(shake(model).state_dict())
    assert not any('masked_embed' in name for name in official['teacher'])
    load_pretrained(other, official, logger=None)
    assert all(torch.equal(other.state_dict()[name], value) for name, value in model.state_dict().items())
    for part, network in (('teacher', model.tokenizer.backbone), ('student', model.backbone)):
        backbone = make(seed=4)  # a backbone of a dense task: norms of early stages start anew, there is no mask token
        report = load_pretrained(backbone, official, part=part, logger=None)
        assert report.kept == [f'norm{i}.{kind}' for i in range(3) for kind in ('weight', 'bias')]
        name = 'stages.0.downsample.reduction.weight'
        assert torch.equal(backbone.state_dict()[name], network.state_dict()[name])


def test_names_of_older_mmpretrain_files():
    state = make(out_indices=(3,)).state_dict()
    old = {f'backbone.{name.replace("norm3.", "norm.")}': value for name, value in state.items()}
    old['backbone.stages.0.blocks.1.attn.attn_mask'] = torch.zeros(2)
    old['backbone.stages.0.blocks.1.attn.w_msa.relative_position_index'] = torch.zeros(2)
    for options in ({}, {'prefix': 'backbone'}):
        model = make(seed=1, out_indices=(3,))
        report = load_pretrained(model, {'state_dict': old, 'head.fc.weight': torch.zeros(1)}, logger=None, **options)
        assert report.unused == report.kept == []
        assert torch.equal(model.norm3.weight, state['norm3.weight'])


def test_tables_of_another_window_are_resized():
    small, large = make(window_size=4), make(seed=1, window_size=8)
    report = load_pretrained(large, small.state_dict(), logger=None)
    assert len(report.resized) == sum(DEPTHS) and 'resized: stages.0' in str(report)
    name = 'stages.0.blocks.0.attn.w_msa.relative_position_bias_table'
    table = small.state_dict()[name].t().reshape(1, -1, 7, 7)
    expected = nn.functional.interpolate(table, (15, 15), mode='bicubic').flatten(2)[0].t()
    torch.testing.assert_close(large.state_dict()[name], expected, atol=1e-6, rtol=1e-5)


def test_what_does_not_fit_is_refused():
    state = make(out_indices=(3,)).state_dict()
    with pytest.raises(CheckpointError, match='shapes differ.*norm1'):
        load_pretrained(make(arch={**ARCH, 'embed_dims': 16, 'num_heads': (2, 2, 4, 4)}), state, logger=None)
    with pytest.raises(CheckpointError, match=r'not in the file: norm3'):
        load_pretrained(make(), {n: v for n, v in state.items() if 'norm3' not in n}, logger=None)
    with pytest.raises(CheckpointError, match='not in the model: absolute_pos_embed'):
        load_pretrained(make(), state | {'absolute_pos_embed': torch.zeros(1, 4, 8)}, logger=None)
    with pytest.raises(CheckpointError, match='not in the model: stages.2.blocks.2'):
        load_pretrained(make(), make(arch={**ARCH, 'depths': (2, 2, 3, 1)}).state_dict(), logger=None)
