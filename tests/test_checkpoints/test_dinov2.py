"""Checkpoints with the names of the published DINOv2 code.

That code is no package. The names are those of its ``DinoVisionTransformer``; that the values mean what we take them
for is shown by timm's and Hugging Face's models of DINOv2.
"""

import pytest
import torch

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.convert import convert
from mim_plugin.checkpoints.formats import hugging_face_folder
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS

from .test_hugging_face import assert_agree, save, scatter
from .tiny import assert_same

DIMS, DEPTH, HIDDEN, PATCH, GRID = 128, 2, 256, 14, 4
OURS = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': DIMS, 'num_layers': DEPTH, 'num_heads': 2, 'feedforward_channels': HIDDEN},
    'img_size': GRID * PATCH,
    'patch_size': PATCH,
    'layer_scale': 0.1,
    'mask_token': True,
}


def official(registers=0, chunked=False, prefix=''):
    """Random tensors under the published names."""
    torch.manual_seed(0)
    shapes = {
        'cls_token': (1, 1, DIMS), 'pos_embed': (1, 1 + GRID**2, DIMS), 'mask_token': (1, DIMS),
        'patch_embed.proj.weight': (DIMS, 3, PATCH, PATCH), 'patch_embed.proj.bias': (DIMS,),
        'norm.weight': (DIMS,), 'norm.bias': (DIMS,),
    }  # fmt: skip
    if registers:
        shapes['register_tokens'] = (1, registers, DIMS)
    for i in range(DEPTH):
        block = {
            'norm1.weight': (DIMS,), 'norm1.bias': (DIMS,), 'norm2.weight': (DIMS,), 'norm2.bias': (DIMS,),
            'attn.qkv.weight': (3 * DIMS, DIMS), 'attn.qkv.bias': (3 * DIMS,),
            'attn.proj.weight': (DIMS, DIMS), 'attn.proj.bias': (DIMS,), 'ls1.gamma': (DIMS,), 'ls2.gamma': (DIMS,),
            'mlp.fc1.weight': (HIDDEN, DIMS), 'mlp.fc1.bias': (HIDDEN,),
            'mlp.fc2.weight': (DIMS, HIDDEN), 'mlp.fc2.bias': (DIMS,),
        }  # fmt: skip
        shapes |= {f'blocks.{f"{i}." if chunked else ""}{i}.{name}': shape for name, shape in block.items()}
    return {prefix + name: 0.2 * torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize('registers', [0, 4])
def test_a_published_backbone_becomes_ours_and_is_written_back(tmp_path, registers):
    state = official(registers)
    torch.save(state, tmp_path / 'official.pth')
    report = convert(tmp_path / 'official.pth', tmp_path / 'ours.safetensors', verify=True)
    assert report.from_format == 'dinov2' and not report.lost
    # Verified against timm's class, and read by ours.
    assert any('DINOv2' in line and 'agree' in line for line in report.verified)
    backbone = MODELS.build({**OURS, 'num_registers': registers})
    assert not load_pretrained(backbone, tmp_path / 'ours.safetensors', logger=None).kept

    convert(tmp_path / 'ours.safetensors', tmp_path / 'back.pth', to_format='dinov2')
    again = torch.load(tmp_path / 'back.pth')
    again.pop('meta')
    assert again.keys() == state.keys()
    assert_same(again, state)


@pytest.mark.parametrize('registers', [0, 4])
def test_hugging_face_computes_the_same(tmp_path, registers):
    transformers = hugging_face_folder.import_transformers()
    torch.save(official(registers), tmp_path / 'official.pth')
    convert(tmp_path / 'official.pth', tmp_path / 'theirs', to_format='hugging_face', verify=True)
    name = 'Dinov2WithRegistersModel' if registers else 'Dinov2Model'
    with hugging_face_folder.quiet(transformers):
        theirs = getattr(transformers, name).from_pretrained(tmp_path / 'theirs').eval()
    ours = MODELS.build({**OURS, 'num_registers': registers}).eval()
    load_pretrained(ours, tmp_path / 'official.pth', logger=None)  # directly, without a conversion
    images = torch.randn(2, 3, GRID * PATCH, GRID * PATCH)
    with torch.no_grad():
        assert_agree(ours.forward_tokens(images), theirs(images).last_hidden_state)


def test_hugging_face_becomes_official(tmp_path):
    transformers = hugging_face_folder.import_transformers()
    config = transformers.Dinov2Config(
        hidden_size=DIMS, num_hidden_layers=DEPTH, num_attention_heads=2, mlp_ratio=2, image_size=56, patch_size=14
    )
    save(scatter(transformers.Dinov2Model(config)), tmp_path / 'theirs')
    report = convert(tmp_path / 'theirs', tmp_path / 'official.pth', to_format='dinov2', verify=True)
    assert not report.lost
    assert torch.load(tmp_path / 'official.pth').keys() - {'meta'} == official().keys()


def test_the_teacher_of_a_training_checkpoint(tmp_path):
    """Its blocks stand in groups, its heads have no counterpart."""
    heads = {f'{head}.mlp.0.weight': torch.zeros(4, 4) for head in ('dino_head', 'ibot_head')}
    teacher = official(chunked=True, prefix='backbone.') | heads
    torch.save({'teacher': teacher}, tmp_path / 'teacher.pth')
    with pytest.raises(CheckpointError, match=r'would lose dino_head.mlp.0.weight, ibot_head'):
        convert(tmp_path / 'teacher.pth', tmp_path / 'ours.pth')
    report = convert(tmp_path / 'teacher.pth', tmp_path / 'ours.pth', allow_unused=['*_head.*'], verify=True)
    assert sorted(report.lost) == sorted(heads)
    torch.save(official(), tmp_path / 'bare.pth')
    convert(tmp_path / 'bare.pth', tmp_path / 'same.pth')
    found, expected = (torch.load(tmp_path / name)['state_dict'] for name in ('ours.pth', 'same.pth'))
    assert found.keys() == expected.keys()
    assert_same(found, expected)


def test_what_dinov2_always_has_is_added(tmp_path):
    ours = scatter(MODELS.build({**OURS, 'layer_scale': 0.0, 'mask_token': False, 'qkv_bias': 'qv'}))
    torch.save({'state_dict': ours.state_dict()}, tmp_path / 'ours.pth')
    convert(tmp_path / 'ours.pth', tmp_path / 'official.pth', to_format='dinov2', verify=True)
    state = torch.load(tmp_path / 'official.pth')
    assert state.keys() - {'meta'} == official().keys()
    assert state['mask_token'].shape == (1, DIMS) and not state['mask_token'].any()
    assert torch.equal(state['blocks.1.ls2.gamma'], torch.ones(DIMS))


def test_gated_layers_are_refused_by_name(tmp_path):
    state = official()
    for i in range(DEPTH):
        state[f'blocks.{i}.mlp.w12.weight'] = state.pop(f'blocks.{i}.mlp.fc1.weight')
    torch.save(state, tmp_path / 'giant.pth')
    with pytest.raises(CheckpointError, match='SwiGLU'):
        convert(tmp_path / 'giant.pth', tmp_path / 'ours.pth')
    with pytest.raises(CheckpointError, match='SwiGLU'):
        load_pretrained(MODELS.build(dict(OURS)), tmp_path / 'giant.pth', logger=None)


@pytest.mark.parametrize(
    ('settings', 'reason'),
    [
        ({'pos_embed': None, 'relative_bias': 'shared'}, 'has a relative position bias'),
        ({'pos_embed': 'sincos'}, 'has no learned positions'),
        ({'mean_pooling': True}, 'has no final norm'),
    ],
)
def test_what_dinov2_cannot_express_is_refused(tmp_path, settings, reason):
    torch.save({'state_dict': MODELS.build({**OURS, **settings}).state_dict()}, tmp_path / 'ours.pth')
    with pytest.raises(CheckpointError, match=reason):
        convert(tmp_path / 'ours.pth', tmp_path / 'official.pth', to_format='dinov2')
