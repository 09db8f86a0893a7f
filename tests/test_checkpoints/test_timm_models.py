"""timm's own models with random weights: what ours computes from their files, and that nothing is lost or changed."""

import pytest
import torch

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.convert import convert
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS

from .test_hugging_face import assert_agree, scatter
from .tiny import assert_same

timm = pytest.importorskip('timm')

VIT = {'img_size': 32, 'patch_size': 8, 'embed_dim': 128, 'depth': 2, 'num_heads': 2, 'mlp_ratio': 2, 'num_classes': 5}
SWIN = {'img_size': 64, 'patch_size': 4, 'embed_dim': 32, 'depths': (1, 2), 'num_heads': (2, 4), 'window_size': 8}
OURS = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': 128, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 256},
    'img_size': 32,
    'patch_size': 8,
}
BEIT = {'qkv_bias': 'qv', 'layer_scale': 0.1}
OUR_SWIN = {
    'type': 'MIMSwinTransformer',
    'arch': {'embed_dims': 32, 'depths': (1, 2), 'num_heads': (2, 4)},
    'img_size': 64,
    'window_size': 8,
    'out_indices': (1,),
    'norm_eps': 1e-5,
}
# module and class, its settings, our backbone
CASES = {
    'vit': ('vision_transformer.VisionTransformer', VIT, OURS),
    'vit-scales': ('vision_transformer.VisionTransformer', {**VIT, 'init_values': 0.1}, {**OURS, 'layer_scale': 0.1}),
    'vit-mean': ('vision_transformer.VisionTransformer', {**VIT, 'global_pool': 'avg'}, {**OURS, 'mean_pooling': True}),
    'beit': (
        'beit.Beit',
        {**VIT, 'init_values': 0.1, 'use_abs_pos_emb': False, 'use_rel_pos_bias': True},
        {**OURS, **BEIT, 'pos_embed': None, 'relative_bias': 'per_block', 'mean_pooling': True},
    ),
    'beit-shared': (
        'beit.Beit',
        {**VIT, 'init_values': 0.1, 'use_shared_rel_pos_bias': True, 'global_pool': 'token'},
        {**OURS, **BEIT, 'relative_bias': 'shared'},
    ),
    'swin': ('swin_transformer.SwinTransformer', {**SWIN, 'num_classes': 5}, OUR_SWIN),
}


def their_model(name):
    path, settings, _ = CASES[name]
    module, class_name = path.split('.')
    torch.manual_seed(0)
    return scatter(getattr(getattr(timm.models, module), class_name)(**settings))


@pytest.mark.parametrize('name', CASES)
def test_their_models_become_ours_and_theirs_again(tmp_path, name):
    model = their_model(name)
    state = model.state_dict()
    torch.save({'state_dict': state}, tmp_path / 'timm.pth')
    report = convert(tmp_path / 'timm.pth', tmp_path / 'ours.pth')
    assert not report.lost
    backbone = MODELS.build(dict(CASES[name][2])).eval()
    assert not load_pretrained(backbone, tmp_path / 'ours.pth', logger=None).kept
    direct = MODELS.build(dict(CASES[name][2])).eval()
    load_pretrained(direct, tmp_path / 'timm.pth', logger=None)
    assert_same(direct.state_dict(), backbone.state_dict())

    images = torch.randn(2, 3, *[CASES[name][1]['img_size']] * 2)
    with torch.no_grad():
        expected = model.forward_features(images)
        if name == 'swin':
            assert_agree(backbone(images)[-1], expected.permute(0, 3, 1, 2))
        else:
            assert_agree(backbone.forward_tokens(images)[:, 1:], expected[:, 1:])

    convert(tmp_path / 'ours.pth', tmp_path / 'back.pth', to_format='timm')
    again = torch.load(tmp_path / 'back.pth')['state_dict']
    assert again.keys() == state.keys()
    assert_same(again, state)


@pytest.mark.parametrize(
    ('settings', 'left'),
    [({'class_token': False, 'global_pool': 'avg'}, 'no .CLS. token'), ({'qk_norm': True}, 'q_norm'),
     ({'pre_norm': True}, 'norm_pre')],
)
def test_what_ours_does_not_compute_is_refused_by_name(tmp_path, settings, left):
    torch.save(timm.models.vision_transformer.VisionTransformer(**VIT, **settings).state_dict(), tmp_path / 'timm.pth')
    with pytest.raises(CheckpointError, match=left):
        convert(tmp_path / 'timm.pth', tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()
