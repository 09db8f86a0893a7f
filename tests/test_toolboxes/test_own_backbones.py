"""A file of ours, written for a toolbox, in the toolbox's own backbone: no key is missing, and the outputs are ours."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS

from mim_plugin.checkpoints import export_for_toolbox, read_checkpoint
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS as OURS
from tests.test_checkpoints.tiny import make_ibot

SIZE, WIDTH = 32, 24
ARCH = dict(embed_dims=WIDTH, num_layers=2, num_heads=2, feedforward_channels=4 * WIDTH)
SIZES = dict(embed_dims=WIDTH, num_layers=2, num_heads=2, mlp_ratio=4, img_size=SIZE, patch_size=8)
TIMM_SIZES = dict(
    embed_dim=WIDTH, depth=2, num_heads=2, mlp_ratio=4, img_size=SIZE, patch_size=8, num_classes=0, global_pool=''
)
LN = dict(type='LN', eps=1e-6)
BEIT = dict(pos_embed=None, qkv_bias='qv', layer_scale=0.1)


def random_backbone(**options):
    """Ours, where every number differs from every other."""
    torch.manual_seed(0)
    backbone = OURS.build(
        dict(type='MIMVisionTransformer', arch=ARCH, img_size=SIZE, patch_size=8, out_indices=(0, 1), **options)
    ).eval()
    return randomised(backbone)


def randomised(backbone):
    with torch.no_grad():
        for value in backbone.parameters():
            value.copy_(0.3 * torch.randn(value.shape))
    return backbone


def of_mmpretrain(relative=None, layer_scale=0.0):
    sizes = dict(arch=ARCH, img_size=SIZE, patch_size=8, out_indices=(0, 1), out_type='featmap')
    if relative is None:
        return dict(type='mmpretrain.VisionTransformer', layer_scale_init_value=layer_scale, **sizes)
    bias = dict(use_rel_pos_bias=relative == 'per_block', use_shared_rel_pos_bias=relative == 'shared')
    return dict(
        type='mmpretrain.BEiTViT', final_norm=True, norm_cfg=LN, layer_scale_init_value=layer_scale, **bias, **sizes
    )


def of_mmseg(relative=None, layer_scale=0.0):
    sizes = dict(out_indices=(0, 1), final_norm=True, norm_cfg=LN, **SIZES)
    if relative is None:
        return dict(type='mmseg.VisionTransformer', patch_bias=True, **sizes)
    return dict(type='mmseg.BEiT', qv_bias=True, **sizes)


def of_timm(relative=None, layer_scale=0.0):
    name = 'vit_base_patch16_224' if relative is None else 'beit_base_patch16_224'
    bias = dict(use_rel_pos_bias=relative == 'per_block', use_shared_rel_pos_bias=relative == 'shared')
    return dict(
        type='mmpretrain.TIMMBackbone',
        model_name=name,
        init_values=layer_scale or None,
        **TIMM_SIZES,
        **(bias if relative else {}),
    )


CASES = [
    ('mmpretrain', of_mmpretrain, {}),
    ('mmpretrain', of_mmpretrain, dict(layer_scale=0.1, qkv_bias='qv', mask_token=True)),
    ('mmpretrain', of_mmpretrain, dict(relative_bias='per_block', **BEIT)),
    ('mmpretrain', of_mmpretrain, dict(relative_bias='shared', **BEIT)),
    ('mmseg', of_mmseg, {}),
    ('mmseg', of_mmseg, dict(layer_scale=0.1, qkv_bias='qv', mask_token=True)),
    ('mmseg', of_mmseg, dict(relative_bias='per_block', **BEIT)),
    ('mmseg', of_mmseg, dict(relative_bias='shared', **BEIT)),
    ('mmseg', of_mmseg, dict(relative_bias='both', pos_embed=None)),
    ('timm', of_timm, {}),
    ('timm', of_timm, dict(layer_scale=0.1, qkv_bias='qv', mask_token=True)),
    ('timm', of_timm, dict(relative_bias='per_block', **BEIT)),
    ('timm', of_timm, dict(relative_bias='shared', **BEIT)),
]


@pytest.mark.parametrize(('toolbox', 'entry', 'options'), CASES)
def test_vision_transformer(toolbox, entry, options, tmp_path):
    pytest.importorskip(toolbox)
    ours = random_backbone(**options)
    file = exported(ours, toolbox, tmp_path)
    entry = entry(options.get('relative_bias'), options.get('layer_scale', 0.0))
    if toolbox == 'timm':
        entry['checkpoint_path'] = str(file)  # strict: timm itself refuses a missing or unused name
    else:
        entry['init_cfg'] = dict(type='Pretrained', checkpoint=str(file))
    theirs = MODELS.build(entry)
    theirs.init_weights()
    theirs.eval()  # returns nothing
    module = getattr(theirs, 'timm_model', theirs)
    assert not module.load_state_dict(read_checkpoint(file)['state_dict'], strict=True).missing_keys

    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        expected, found = ours(images), theirs(images)
    if toolbox == 'timm':  # all tokens of the last block
        found = [found[-1][:, 1:].transpose(1, 2).unflatten(2, (4, 4))]
        expected = expected[-1:]
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)


SWIN = dict(embed_dims=16, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4))
THEIR_SWIN = dict(embed_dims=16, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4), window_size=4)


def swin_of(toolbox):
    if toolbox == 'mmpretrain':
        arch = dict(embed_dims=16, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4))
        return dict(type='mmpretrain.SwinTransformer', arch=arch, img_size=64, window_size=4, pad_small_map=True)
    return dict(type=f'{toolbox}.SwinTransformer', out_indices=(3,), **THEIR_SWIN)


@pytest.mark.parametrize('toolbox', ['mmpretrain', 'mmseg', 'mmdet', 'timm'])
def test_swin_transformer(toolbox, tmp_path):
    pytest.importorskip(toolbox)
    torch.manual_seed(0)
    ours = randomised(OURS.build(dict(type='MIMSwinTransformer', arch=SWIN, window_size=4, out_indices=(3,)))).eval()
    file = exported(ours, toolbox, tmp_path)
    if toolbox == 'timm':
        import timm

        arch = dict(embed_dim=16, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4), window_size=4, img_size=128)
        theirs = timm.create_model(
            'swin_tiny_patch4_window7_224', num_classes=0, global_pool='', checkpoint_path=str(file), **arch
        ).eval()
    else:
        theirs = MODELS.build(ConfigDict(init_cfg=dict(type='Pretrained', checkpoint=str(file)), **swin_of(toolbox)))
        theirs.init_weights()
        theirs.eval()
        state = {n.removeprefix('backbone.'): value for n, value in read_checkpoint(file)['state_dict'].items()}
        theirs.load_state_dict(state, strict=True)
    images = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        expected, found = ours(images)[-1], theirs(images)
    found = found.permute(0, 3, 1, 2) if toolbox == 'timm' else found[-1]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('part', ['teacher', 'student'])
def test_one_network_of_a_pretraining_run(part, tmp_path):
    timm = pytest.importorskip('timm')
    model = make_ibot(seed=1).eval()
    torch.save({'state_dict': model.state_dict(), 'optimizer': {}}, tmp_path / 'epoch_1.pth')
    file = export_for_toolbox(tmp_path / 'epoch_1.pth', tmp_path / 'vit.pth', 'timm', part=part)
    sizes = {**TIMM_SIZES, 'mlp_ratio': 2}
    theirs = timm.create_model('vit_base_patch16_224', checkpoint_path=str(file), **sizes).eval()
    ours = model.tokenizer.backbone if part == 'teacher' else model.backbone
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(theirs(images), ours.forward_tokens(images), rtol=1e-4, atol=1e-4)


def exported(backbone, toolbox, folder):
    return export_for_toolbox({'state_dict': backbone.state_dict()}, folder / 'backbone.pth', toolbox)


@pytest.mark.parametrize(
    ('toolbox', 'options', 'message'),
    [
        ('mmocr', {}, 'mmocr.* is unknown'),
        ('mmdet', {}, 'mmdet has no plain vision transformer'),
        ('mmseg', dict(num_registers=2), 'has registers'),
        ('mmseg', dict(pos_embed='sincos'), 'no learned positions'),
        ('mmseg', dict(relative_bias='shared'), 'no absolute positions beside'),
    ],
)
def test_what_has_no_class_there_is_refused(toolbox, options, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        exported(random_backbone(**options), toolbox, tmp_path)
    assert not list(tmp_path.iterdir())


def test_file_and_part_are_checked(tmp_path):
    state = {'state_dict': random_backbone().state_dict()}
    with pytest.raises(CheckpointError, match='ends in .pth'):
        export_for_toolbox(state, tmp_path / 'a.safetensors', 'timm')
    with pytest.raises(CheckpointError, match="part='both' is unknown"):
        export_for_toolbox(state, tmp_path / 'a.pth', 'timm', part='both')
    with pytest.raises(CheckpointError, match='no backbone'):
        export_for_toolbox({'head.mlp.0.weight': torch.zeros(2, 2)}, tmp_path / 'a.pth', 'timm')
