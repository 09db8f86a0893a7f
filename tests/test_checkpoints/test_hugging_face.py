"""Checkpoints of Hugging Face: the yardstick are their models with random weights and the files that they write."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import mim_plugin
from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.convert import convert
from mim_plugin.checkpoints.formats import hugging_face_folder
from mim_plugin.checkpoints.matrix import sample
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS

from .tiny import assert_same

# Neither the heads nor the epsilon are those that are assumed where a file does not tell.
SIZES = {'hidden_size': 128, 'num_hidden_layers': 4, 'num_attention_heads': 4, 'image_size': 32, 'patch_size': 8}
SIZES |= {'layer_norm_eps': 1e-5}
MLP, RATIO = {'intermediate_size': 256}, {'mlp_ratio': 2}
OURS = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': 128, 'num_layers': 4, 'num_heads': 4, 'feedforward_channels': 256},
    'img_size': 32,
    'patch_size': 8,
    'norm_eps': 1e-5,
}
BEIT = {'pos_embed': None, 'relative_bias': 'per_block', 'qkv_bias': 'qv', 'layer_scale': 0.1}
DINOV2 = {'layer_scale': 0.1, 'mask_token': True}

# class, their settings, our backbone, pattern of what is lost on the way to ours
CASES = {
    'beit': ('BeitModel', {**MLP, 'use_relative_position_bias': True}, {**BEIT, 'mean_pooling': True}, None),
    'beit-cls': (
        'BeitModel',
        {**MLP, 'use_shared_relative_position_bias': True, 'use_absolute_position_embeddings': True,
         'use_mean_pooling': False, 'use_mask_token': True, 'layer_scale_init_value': 0.0},
        {'relative_bias': 'shared', 'qkv_bias': 'qv', 'mask_token': True},
        None,
    ),
    'beit-pretraining': (
        'BeitForMaskedImageModeling',
        {**MLP, 'use_shared_relative_position_bias': True, 'use_mask_token': True, 'vocab_size': 16},
        {**BEIT, 'relative_bias': 'shared', 'mask_token': True},
        None,
    ),
    'beit-both': (
        'BeitForImageClassification',
        {**MLP, 'use_relative_position_bias': True, 'use_shared_relative_position_bias': True, 'num_labels': 5},
        {**BEIT, 'relative_bias': 'both', 'mean_pooling': True},
        None,
    ),
    'beit-segmentation': (
        'BeitForSemanticSegmentation',
        {**MLP, 'use_relative_position_bias': True, 'num_labels': 5, 'out_indices': [1, 2, 3, 4],
         'auxiliary_channels': 16},
        {**BEIT, 'final_norm': 'none'},
        None,
    ),
    'vit': ('ViTModel', MLP, {}, 'pooler.dense.'),
    'vit-classifier': ('ViTForImageClassification', {**MLP, 'num_labels': 5}, {}, None),
    'vit-no-bias': ('ViTForImageClassification', {**MLP, 'num_labels': 5, 'qkv_bias': False}, {'qkv_bias': None}, None),
    'dinov2': ('Dinov2Model', RATIO, DINOV2, None),
    'dinov2-classifier': ('Dinov2ForImageClassification', {**RATIO, 'num_labels': 5}, DINOV2, 'classifier.'),
    'dinov2-registers': ('Dinov2WithRegistersModel', RATIO, {**DINOV2, 'num_registers': 4}, None),
}  # fmt: skip


@pytest.fixture(scope='module')
def transformers():
    return hugging_face_folder.import_transformers()


def scatter(model):
    """Numbers that all differ, also those that start at 0 or 1."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(0.2 * torch.randn(value.shape) + (value.ndim == 1 and name.endswith('weight')))
            if name.endswith('running_var'):
                value.abs_()
    return model.eval()


def their_model(transformers, name):
    class_name, settings, *_ = CASES[name]
    torch.manual_seed(0)
    model_class = getattr(transformers, class_name)
    return scatter(model_class(model_class.config_class(**{**SIZES, **settings})))


def save(model, folder, **options):
    with hugging_face_folder.quiet(hugging_face_folder.import_transformers()):
        model.save_pretrained(folder, **options)
    return folder


def their_tokens(model, images):
    with torch.no_grad():
        tokens = model.base_model(images).last_hidden_state
        return model.layernorm(tokens) if hasattr(model, 'lm_head') else tokens


def assert_agree(found, expected):
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize('name', CASES)
def test_their_models_become_ours_and_theirs_again(transformers, tmp_path, name):
    _, _, ours, lost = CASES[name]
    model = their_model(transformers, name)
    theirs = load_file(save(model, tmp_path / 'theirs') / 'model.safetensors')
    lost_names = {n for n in theirs if lost and n.startswith(lost)}

    options = {'allow_unused': [f'{lost}*']} if lost else {}
    report = convert(tmp_path / 'theirs', tmp_path / 'ours.safetensors', **options)
    assert report.from_format == 'hugging_face'
    assert set(report.lost) == lost_names
    backbone = MODELS.build({**OURS, **ours}).eval()
    assert not load_pretrained(backbone, tmp_path / 'ours.safetensors', logger=None).kept
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        found = backbone.forward_tokens(images)[:, backbone.num_prefix_tokens :]
    assert_agree(found, their_tokens(model, images)[:, backbone.num_prefix_tokens :])

    # Verified: their class reads the folder, misses nothing, and gives the same patch tokens.
    report = convert(tmp_path / 'ours.safetensors', tmp_path / 'back', to_format='hugging_face', verify=True)
    assert any('agree' in line for line in report.verified)
    prefix = 'dinov2.' if name == 'dinov2-classifier' else ''
    expected = {n.removeprefix(prefix): value for n, value in theirs.items() if n not in lost_names}
    again = load_file(tmp_path / 'back' / 'model.safetensors')
    assert again.keys() == expected.keys()
    assert_same(again, expected)
    config, original = (json.loads((tmp_path / part / 'config.json').read_text()) for part in ('back', 'theirs'))
    same = set(SIZES) | {'model_type', 'num_channels', 'use_mean_pooling', 'layer_scale_init_value', 'out_indices'}
    assert {key: config[key] for key in same & config.keys()} == {key: original[key] for key in same & config.keys()}


def test_their_segmenter_gives_the_logits_of_ours(transformers, tmp_path):
    from mmseg.models import FCNHead, UPerHead

    model = their_model(transformers, 'beit-segmentation')
    save(model, tmp_path / 'theirs')
    convert(tmp_path / 'theirs', tmp_path / 'ours.safetensors')
    state = load_file(tmp_path / 'ours.safetensors')
    common = {'num_classes': 5, 'norm_cfg': {'type': 'BN'}, 'align_corners': False}
    # Their index 1 is the embedding, which no block of ours gives: maps 2 to 4 are blocks 0 to 2.
    parts = {
        'neck.': MODELS.build({'type': 'FeaturePyramid', 'in_channels': 128, 'norm': 'bn'}),
        'decode_head.': UPerHead(
            in_channels=[128] * 4, in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6), channels=128, **common
        ),
        'auxiliary_head.': FCNHead(
            in_channels=128, in_index=2, channels=16, num_convs=1, concat_input=False, **common
        ),
    }  # fmt: skip
    for prefix, part in parts.items():
        part.load_state_dict({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)})
        part.eval()
    backbone = MODELS.build({**OURS, **BEIT, 'out_indices': (0, 1, 2), 'final_norm': 'none'}).eval()
    load_pretrained(backbone, tmp_path / 'ours.safetensors', logger=None)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(images, output_hidden_states=True)
        embedded = model.base_model.embeddings(images)[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
        maps = parts['neck.']([embedded, *backbone(images)])
        assert_agree(parts['decode_head.'](maps), expected.logits)


@pytest.mark.parametrize(
    ('settings', 'class_name'),
    [
        ({}, 'ViTModel'),
        ({'mask_token': True, 'layer_scale': 0.1}, 'Dinov2Model'),
        ({'num_registers': 2, 'qkv_bias': 'qv'}, 'Dinov2WithRegistersModel'),
        ({'pos_embed': None, 'relative_bias': 'both'}, 'BeitModel'),
        ({'qkv_bias': 'qv', 'layer_scale': 0.1}, 'BeitModel'),
        ({'mean_pooling': True}, 'BeitModel'),
        ({'final_norm': 'none'}, 'BeitModel'),
        ({'pos_embed': None, 'relative_bias': 'shared', 'qkv_bias': None}, 'BeitModel'),
    ],
)
def test_ours_become_the_class_that_computes_them(transformers, tmp_path, settings, class_name):
    torch.manual_seed(1)
    torch.save({'state_dict': scatter(MODELS.build({**OURS, **settings})).state_dict()}, tmp_path / 'ours.pth')
    report = convert(tmp_path / 'ours.pth', tmp_path / 'theirs', to_format='hugging_face', verify=True)
    assert any('agree' in line for line in report.verified)
    assert json.loads((tmp_path / 'theirs' / 'config.json').read_text())['architectures'] == [class_name]


def test_the_shipped_checkpoint_keeps_its_heads(transformers, tmp_path):
    (source,) = (Path(mim_plugin.__file__).parent / 'zoo').glob('*/model.safetensors')
    lost = ['head.*', 'loss_module.*', 'backbone.mask_token', 'mask_token']
    convert(source, tmp_path / 'theirs', to_format='hugging_face', allow_unused=lost, verify=True)
    assert json.loads((tmp_path / 'theirs' / 'config.json').read_text())['num_attention_heads'] == 4


@pytest.mark.parametrize(
    ('settings', 'reason'),
    [
        ({'num_registers': 2, 'pos_embed': None, 'relative_bias': 'shared'}, 'registers and a relative'),
        ({'pos_embed': 'sincos'}, 'no learned positions'),
        ({'num_registers': 2, 'mean_pooling': True}, 'without a final norm of all tokens'),
    ],
)
def test_what_no_class_computes_is_refused(tmp_path, settings, reason):
    torch.save({'state_dict': MODELS.build({**OURS, **settings}).state_dict()}, tmp_path / 'ours.pth')
    with pytest.raises(CheckpointError, match=reason):
        convert(tmp_path / 'ours.pth', tmp_path / 'theirs', to_format='hugging_face')
    assert not (tmp_path / 'theirs').exists()


def test_a_mask_token_that_vit_lacks_is_named(tmp_path):
    torch.save({'state_dict': MODELS.build({**OURS, 'mask_token': True}).state_dict()}, tmp_path / 'ours.pth')
    with pytest.raises(CheckpointError, match='lose mask_token .*vit has no mask token'):
        convert(tmp_path / 'ours.pth', tmp_path / 'theirs', to_format='hugging_face')


def test_gated_layers_are_refused_by_name(transformers, tmp_path):
    config = transformers.Dinov2Config(**{**SIZES, **RATIO}, use_swiglu_ffn=True)
    save(transformers.Dinov2Model(config), tmp_path / 'theirs')
    with pytest.raises(CheckpointError, match='SwiGLU'):
        convert(tmp_path / 'theirs', tmp_path / 'ours.pth')


def test_two_norms_are_refused(transformers, tmp_path):
    config = transformers.BeitConfig(**SIZES, **MLP, use_mean_pooling=False, use_relative_position_bias=True)
    save(transformers.BeitForMaskedImageModeling(config), tmp_path / 'theirs')
    with pytest.raises(CheckpointError, match='norms its tokens twice'):
        convert(tmp_path / 'theirs', tmp_path / 'ours.pth')


def test_a_folder_in_parts_is_read(transformers, tmp_path):
    model = their_model(transformers, 'dinov2')
    convert(save(model, tmp_path / 'whole'), tmp_path / 'whole.pth')
    save(model, tmp_path / 'parts', max_shard_size='500KB')
    assert len(list((tmp_path / 'parts').glob('*.safetensors'))) > 1
    convert(tmp_path / 'parts', tmp_path / 'parts.pth')
    whole, parts = (torch.load(tmp_path / f'{name}.pth')['state_dict'] for name in ('whole', 'parts'))
    assert whole.keys() == parts.keys()
    assert_same(whole, parts)


def test_an_older_folder_is_read(transformers, tmp_path):
    """With a pickle, and with the index buffers that BEiT's files had."""
    folder = save(their_model(transformers, 'beit'), tmp_path / 'theirs')
    state = load_file(folder / 'model.safetensors')
    tables = [name for name in state if name.endswith('bias_table')]
    state |= {name.replace('bias_table', 'index'): torch.zeros(17, 17, dtype=torch.long) for name in tables}
    (folder / 'model.safetensors').unlink()
    torch.save(state, folder / 'pytorch_model.bin')
    report = convert(folder, tmp_path / 'ours.pth')
    assert not report.lost


def test_our_backbones_take_folders_and_files_as_they_are(transformers, tmp_path):
    folder = save(their_model(transformers, 'beit-pretraining'), tmp_path / 'theirs')
    convert(folder, tmp_path / 'ours.pth')
    expected = torch.load(tmp_path / 'ours.pth')['state_dict']
    for source in (folder, folder / 'model.safetensors'):
        config = {**OURS, **BEIT, 'relative_bias': 'shared', 'mask_token': True}
        backbone = MODELS.build({**config, 'init_cfg': {'type': 'Pretrained', 'checkpoint': str(source)}})
        backbone.init_weights()
        assert_same({f'backbone.{name}': value for name, value in backbone.state_dict().items()}, expected)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'model_type': 'deit'}, "kind 'deit'"),
        ({'hidden_act': 'quick_gelu'}, 'exact GELU'),
    ],
)
def test_what_the_config_says_is_heeded(transformers, tmp_path, change, message):
    folder = save(their_model(transformers, 'dinov2'), tmp_path / 'theirs')
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=message):
        convert(folder, tmp_path / 'ours.pth')


def test_settings_that_tensors_do_not_tell_are_logged(transformers, tmp_path, monkeypatch):
    folder = save(their_model(transformers, 'dinov2'), tmp_path / 'theirs')
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps(config | {'layer_norm_eps': 1e-12, 'num_attention_heads': 8}))
    said = []
    monkeypatch.setattr(hugging_face_folder, 'print_log', lambda text, **_: said.append(text))
    convert(folder, tmp_path / 'ours.pth')
    assert 'norm_eps=1e-12 and num_heads=8' in said[0]


def test_a_folder_without_tensors_is_named(tmp_path):
    (tmp_path / 'config.json').write_text('{"model_type": "vit"}')
    with pytest.raises(CheckpointError, match='neither model.safetensors nor pytorch_model.bin'):
        convert(tmp_path, tmp_path / 'ours.pth')
    (tmp_path / 'config.json').write_text('<html>')
    with pytest.raises(CheckpointError, match='cannot be read'):
        convert(tmp_path, tmp_path / 'ours.pth')


@pytest.mark.parametrize('content', ['{"weight_map": ["a"]}', '{}', '[]', '<html>', ''])
def test_a_damaged_list_of_parts_is_named(tmp_path, content):
    (tmp_path / 'config.json').write_text('{"model_type": "vit"}')
    (tmp_path / 'model.safetensors.index.json').write_text(content)
    with pytest.raises(CheckpointError, match=r'index\.json is no list of files with tensors'):
        convert(tmp_path, tmp_path / 'ours.pth')


def test_another_decode_head_than_theirs_is_refused(tmp_path):
    torch.save({'state_dict': sample('BEiT, segmentor')}, tmp_path / 'ours.pth')
    with pytest.raises(CheckpointError, match='The decode head is no UPerNet'):
        convert(tmp_path / 'ours.pth', tmp_path / 'theirs', to_format='hugging_face')


def test_a_file_is_no_target(tmp_path):
    torch.save({'state_dict': sample('ViT')}, tmp_path / 'vit.pth')
    with pytest.raises(CheckpointError, match=r'vit\.pth/theirs/model\.safetensors cannot be written'):
        convert(tmp_path / 'vit.pth', tmp_path / 'vit.pth/theirs', to_format='hugging_face')
    with pytest.raises(CheckpointError, match=r'vit\.pth/report\.json cannot be written'):
        convert(tmp_path / 'vit.pth', tmp_path / 'b.pth', report=tmp_path / 'vit.pth/report.json')
    torch.save({'state_dict': MODELS.build(dict(OURS)).state_dict()}, tmp_path / 'ours.pth')
    with pytest.raises(CheckpointError, match='is a folder, not a file'):
        convert(tmp_path / 'ours.pth', tmp_path / 'theirs.safetensors', to_format='hugging_face')


def test_without_the_package_the_way_to_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(hugging_face_folder, 'SEPARATE_FOLDER', tmp_path / 'nowhere')
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(ImportError, match='--extra convert'):
        hugging_face_folder.import_transformers()


@pytest.mark.slow
def test_the_toolboxes_import_beside_it(fresh_python):
    """mmpretrain fails where it finds a present transformers, and mmdetection must bear one that is loaded."""
    code = (
        'from mim_plugin.checkpoints.formats.hugging_face_folder import import_transformers\n'
        'import_transformers()\n'
        'import mmpretrain.models, mmdet.models\n'
    )
    done = fresh_python('-c', code)
    assert done.returncode == 0, done.stderr
