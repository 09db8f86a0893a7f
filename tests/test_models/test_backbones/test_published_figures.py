"""The backbone against figures of the published iBOT code."""

from pathlib import Path

import pytest
import torch

from mim_plugin.checkpoints.contents import network_of
from mim_plugin.checkpoints.formats.ibot import backbone_to_official
from mim_plugin.checkpoints.formats.traits import below
from mim_plugin.models.backbones import MIMVisionTransformer
from mim_plugin.testing.golden import load_case

GOLDEN = Path(__file__).parents[2] / 'golden'
FORWARD = ['ibot_vit_forward_p16', 'ibot_vit_forward_p8', 'ibot_vit_forward_meanpool_layerscale']


def build(settings, state, **options):
    dims = settings['embed_dim']
    arch = {
        'embed_dims': dims,
        'num_layers': settings['depth'],
        'num_heads': settings['num_heads'],
        'feedforward_channels': int(dims * settings['mlp_ratio']),
    }
    model = MIMVisionTransformer(arch, patch_size=settings['patch_size'], norm_eps=settings['norm_eps'], **options)
    model.load_state_dict(below(network_of(state)[0], 'backbone.'))
    return model.eval()


def check(case, ours):
    missing = case.outputs.keys() - ours.keys()
    assert not missing
    for name, stored in case.outputs.items():
        torch.testing.assert_close(ours[name].detach(), stored.value, atol=stored.atol, rtol=stored.rtol, msg=name)


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('name', FORWARD)
def test_tokens_attention_and_intermediate_outputs(name, with_cp):
    case = load_case(GOLDEN / name)
    settings = case.settings
    model = build(
        settings,
        case.weights['backbone'],
        img_size=settings['img_size'],
        pos_interpolation='ibot',
        qkv_bias='qkv' if settings['qkv_bias'] else None,
        layer_scale=settings['layer_scale_init'],
        mask_token=settings['has_mask_token'],
        mean_pooling=settings['use_mean_pooling'],
        with_cp=with_cp,
    )
    ours = {}
    for key, image in case.inputs.items():
        if not key.startswith('image_'):
            continue
        size = key.removeprefix('image_')
        tokens = model.forward_tokens(image, case.inputs.get(f'mask_{size}'))
        ours |= {f'tokens_{size}': tokens, f'cls_{size}': tokens[:, 0]}
        if not size.endswith('masked'):
            ours[f'last_attention_{size}'] = model.attention_maps(image)[0]
            blocks = model.intermediate_tokens(image, settings['n_last_blocks'])
            ours |= {f'intermediate_{size}_{i}': tokens for i, tokens in enumerate(blocks)}
    check(case, ours)


@pytest.mark.parametrize('name', ['ibot_seg_backbone_nofpn'])
def test_feature_maps_of_several_blocks(name):
    case = load_case(GOLDEN / name)
    settings = case.settings
    model = build(
        settings,
        case.weights['backbone'],
        img_size=settings['backbone_img_size'][0],
        pos_interpolation='ibot',
        out_indices=settings['out_indices'],
        final_norm='all' if settings['out_with_norm'] else 'none',
    )
    assert list(backbone_to_official(model.state_dict())) == case.expected['state_dict_keys']
    (key,) = case.inputs
    size = key.removeprefix('image_')
    check(case, {f'feature{i}_{size}': value for i, value in enumerate(model(case.inputs[key]))})
